#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The report of this machine's GPU: saccade and its peers in one run, into bench/results.
#     tools/bench-gpu.sh BUILD [options of bench/gpu.py]
# BUILD is a build tree, or what tools/pack.sh made of one for a machine that builds nothing. The
# peers want Python 3.11 or later with PyTorch, torchvision, CuPy, OpenCV, NumPy and onnx; $PYTHON
# names it. --budget SECONDS bounds all of it, and the report is written after each step; in pieces,
# one after the other:
#     tools/bench-gpu.sh BUILD --parts ours --cases s6-1280-b1 s-640-b1
#     tools/bench-gpu.sh BUILD --parts peers; tools/bench-gpu.sh BUILD --parts report
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release}
shift || true
python=${PYTHON:-python3}
if ! nvidia-smi -L >/dev/null 2>&1; then
    echo "bench-gpu: no NVIDIA GPU, or its driver does not answer" >&2
    exit 5
fi
exec "$python" bench/gpu.py "$build" "$@"
