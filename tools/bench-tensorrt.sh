#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# bench-tensorrt.sh MODEL.onnx [PICTURES…]: TensorRT beside saccade's CUDA engine, for machines that
# have both: boxes compared, then both timed in one run.
set -euo pipefail
cd "$(dirname "$0")/.."
model=${1:?usage: tools/bench-tensorrt.sh MODEL.onnx [PICTURES…]}
shift
[ $# -gt 0 ] || set -- examples/pictures
saccade=${SACCADE:-build/release/bin/saccade}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$saccade" devices
"$saccade" build "$model" -o "$work/model.engine"
"$saccade" inspect "$work/model.engine"
"$saccade" detect --quiet "$work/model.engine" "$@" >"$work/tensorrt.jsonl"
"$saccade" detect --quiet --device cuda "$model" "$@" >"$work/cuda.jsonl"
python3 - "$work/tensorrt.jsonl" "$work/cuda.jsonl" <<'PYTHON'
import json
import sys


def boxes(path):
    return [[(d["class_id"], d["box"]) for d in json.loads(line).get("detections", [])]
            for line in open(path)]


def iou(a, b):
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(w, 0) * max(h, 0)
    area = sum((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b))
    return common / (area - common) if area > common else 0


ours, theirs = (boxes(path) for path in sys.argv[1:])
total = sum(map(len, theirs))
twins = sum(any(k == c and iou(b, x) > 0.9 for k, x in picture)
            for picture, others in zip(ours, theirs) for c, b in others)
print(f"boxes: {twins} of {total} of the CUDA engine have their twin among {sum(map(len, ours))} "
      "of TensorRT's")
PYTHON
for what in "$work/model.engine" "$model --device cuda"; do
    echo "== $what"
    # shellcheck disable=SC2086
    "$saccade" bench --quiet $what
done
