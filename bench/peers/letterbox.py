#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The letterbox beside what Python programs do, on one thread, in one run: the best of several
rounds, in time on the processor, so that a busy machine disturbs less.

numpy:    cv2.resize, cv2.copyMakeBorder, transpose, astype(float32), / 255
in place: the same with /= 255, which saves an array
blob:     cv2.resize, cv2.copyMakeBorder, cv2.dnn.blobFromImage
saccade:  sac_letterbox_apply into a new array; reused: into the same one, as an engine does

  SACCADE_BUILD=build/release .venv/bin/python bench/peers/letterbox.py [--json] [--rounds N]
"""
import argparse
import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
import saccade  # noqa: E402

CASES = [((1920, 1080), 640), ((1920, 1080), 1280), ((640, 480), 640)]


def padded(bgr, size):
    height0, width0 = bgr.shape[:2]
    gain = min(size / height0, size / width0)
    width, height = round(width0 * gain), round(height0 * gain)
    if (width0, height0) != (width, height):
        bgr = cv2.resize(bgr, (width, height), interpolation=cv2.INTER_LINEAR)
    dw, dh = (size - width) / 2, (size - height) / 2
    top, bottom = round(dh - 0.1), round(dh + 0.1)
    left, right = round(dw - 0.1), round(dw + 0.1)
    return cv2.copyMakeBorder(bgr, top, bottom, left, right, cv2.BORDER_CONSTANT,
                              value=(114, 114, 114))


def by_numpy(bgr, size):
    rgb = np.ascontiguousarray(padded(bgr, size).transpose(2, 0, 1)[::-1])
    return (rgb.astype(np.float32) / 255)[None]


def in_place(bgr, size):
    rgb = np.ascontiguousarray(padded(bgr, size).transpose(2, 0, 1)[::-1])
    out = rgb.astype(np.float32)
    out /= 255
    return out[None]


def by_blob(bgr, size):
    return cv2.dnn.blobFromImage(padded(bgr, size), 1 / 255, swapRB=True)


def by_saccade(bgr, size):
    plan = saccade.fit(bgr.shape[1], bgr.shape[0], size, size)
    return saccade.letterbox(bgr, plan)


class Reused:
    def __init__(self, size):
        self.out = np.zeros((1, 3, size, size), np.float32)

    def __call__(self, bgr, size):
        plan = saccade.fit(bgr.shape[1], bgr.shape[0], size, size)
        return saccade.letterbox(bgr, plan, out=self.out)


def best_of(call, bgr, size, repeats):
    best = float("inf")
    for _ in range(repeats):
        start = time.thread_time()
        call(bgr, size)
        best = min(best, time.thread_time() - start)
    return best * 1e3


def measure(rounds=7, repeats=10):
    """A dict for each case; the ways take turns, so that what disturbs one disturbs all."""
    cv2.setNumThreads(1)
    results = []
    for (width, height), size in CASES:
        bgr = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
        ways = {"numpy": by_numpy, "in place": in_place, "blob": by_blob, "saccade": by_saccade,
                "reused": Reused(size)}
        best = dict.fromkeys(ways, float("inf"))
        for _ in range(rounds):
            for name, way in ways.items():
                best[name] = min(best[name], best_of(way, bgr, size, repeats))
        results.append({"source": [width, height], "size": size, "ms": best,
                        "ratio": {name: best[name] / best["saccade"] for name in best}})
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    results = measure(options.rounds)
    if options.json:
        print(json.dumps(results))
        return
    print(f"OpenCV {cv2.__version__}, NumPy {np.__version__}, one thread, milliseconds")
    names = list(results[0]["ms"])
    print(f"{'':22}" + "".join(f"{name:>10}" for name in names))
    for r in results:
        case = f"{r['source'][0]}x{r['source'][1]} to {r['size']}"
        print(f"{case:22}" + "".join(f"{r['ms'][name]:10.2f}" for name in names))
        print(f"{'  times saccade':22}" + "".join(f"{r['ratio'][name]:10.1f}" for name in names))


if __name__ == "__main__":
    main()
