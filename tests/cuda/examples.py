#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The two ways of feeding, as the examples take them, beside the command line: the same boxes.

  tests/cuda/examples.py BUILD MODEL.onnx PICTURE [DEVICE]
"""
import json
import os
import pathlib
import subprocess
import sys


def output(build, program, *arguments):
    needed = build / "lib/needed"  # of a packed build
    env = {**os.environ, "LD_LIBRARY_PATH": f"{needed}:{os.environ.get('LD_LIBRARY_PATH', '')}"}
    done = subprocess.run([build / "bin" / program, *arguments], capture_output=True, text=True,
                          env=env if needed.exists() else None, timeout=100, check=False)
    if done.returncode:
        sys.exit(f"{program}: {done.returncode}: {done.stderr[-1500:]}")
    return done.stdout


def by_example(build, name, *arguments):
    rows = (line.split() for line in output(build, f"example_{name}", *arguments).splitlines())
    return [(int(row[0]), *map(float, row[1:])) for row in rows]


def twins(ours, theirs):
    """How many have a twin: of their class, score within 0.002, box within a pixel."""
    return sum(any(a[0] == b[0] and abs(a[1] - b[1]) < 2e-3 and
                   max(abs(x - y) for x, y in zip(a[2:], b[2:])) < 1 for b in theirs)
               for a in ours)


def main():
    build, model, picture = pathlib.Path(sys.argv[1]).resolve(), *sys.argv[2:4]
    device = sys.argv[4] if len(sys.argv) > 4 else "cuda"
    found = json.loads(output(build, "saccade", "detect", "-q", "--device", device, model, picture))
    wanted = [(d["class_id"], d["score"], *d["box"]) for d in found["detections"]]
    failed = not wanted
    print(f"detect: {len(wanted)} boxes")
    for name in ("staged", "resident"):
        boxes = by_example(build, name, model, picture, device)
        same = twins(wanted, boxes)
        print(f"{name}: {len(boxes)} boxes, {same} of {len(wanted)} have their twin")
        failed |= len(boxes) != len(wanted) or same != len(wanted)
    return failed


if __name__ == "__main__":
    sys.exit(main())
