# SPDX-License-Identifier: Apache-2.0
"""Writes corpus/head: one input for each head family and a few for options; fuzz_head.c has their
layout. To add to it, run `python tests/fuzz/corpus_head.py`."""
import random
import struct
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "corpus" / "head"
rng = random.Random(1)


def entry(family, classes, rows, flags=0, conf=None, iou=None, max_det=None, fit=0, half=0, raw=0,
          strides=(0, 0, 0), size=(8, 8), values=300):
    out = bytes([flags | 16 * (conf is not None) | 32 * (iou is not None)
                 | 64 * (max_det is not None)])
    out += b"".join(struct.pack("<f", v) for v in (conf, iou) if v is not None)
    out += struct.pack("<H", max_det + 1) if max_det is not None else b""
    out += bytes([2, 3, 1, 9])
    out += bytes([fit, 32]) + struct.pack("<HH", 200, 133) + bytes(size)
    out += struct.pack("<HBB", rows, family, classes) + bytes(strides) + bytes([half, raw])
    return out + bytes(rng.randrange(256) for _ in range(values))


ENTRIES = {
    "v5": entry(0, 5, 100), "v5-multi-label": entry(0, 5, 100, flags=2, conf=0.01),
    "v8": entry(1, 13, 200), "v8-agnostic": entry(1, 13, 203, flags=1, iou=0.1, max_det=3),
    "end2end": entry(2, 7, 30, conf=0.1), "yolox": entry(3, 3, 84, strides=(8, 16, 32)),
    "yolox-decoded": entry(4, 3, 84, fit=3), "half": entry(0, 9, 64, half=1),
    "half-v8": entry(1, 9, 64, half=1, flags=2), "raw-bits": entry(0, 4, 90, raw=1, conf=0.0),
    "filter": entry(1, 8, 100, flags=128, conf=0.0), "compat": entry(0, 2, 64, flags=4, fit=1),
    "refused": entry(5, 2, 64, conf=2.0), "no-rows": entry(1, 3, 0),
}

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, data in ENTRIES.items():
        (FOLDER / name).write_bytes(data)
