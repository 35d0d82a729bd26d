#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Finds codes in the example pictures with the default model: boxes as JSON Lines on standard
# output, annotated pictures in out/demo.
#     demo.sh BUILD
set -euo pipefail
cd "$(dirname "$0")/.."
"$1/bin/saccade" detect examples/pictures --save out/demo --json -
echo "annotated pictures: out/demo" >&2
