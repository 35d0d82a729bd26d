#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The figures of the README: tools/bench.sh BUILD [options of bench/run.py]. A quiet machine helps.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release}
shift || true
SACCADE_BUILD=$build exec .venv/bin/python bench/run.py "$build" --precision fp32 bf16 "$@"
