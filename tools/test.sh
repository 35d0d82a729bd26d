#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# All tests: everything in the release build, then the C tests and the replayed fuzz corpora under
# the address, undefined-behaviour and thread sanitizers, then a few seconds of fresh fuzzing.
set -euo pipefail
cd "$(dirname "$0")/.."
fuzz_seconds=${FUZZ_SECONDS:-10}

step() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }

step 'release build: all tests'
ctest --preset release -j2

export TBB_ENABLE_SANITIZERS=1
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1
export LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=suppressions=$PWD/tests/tsan.supp:halt_on_error=1
for sanitizer in asan ubsan tsan; do
    step "$sanitizer: C tests"
    emulate=OFF # one sanitizer for the emulated CUDA code: each takes minutes (docs/testing.md)
    [ $sanitizer != asan ] || emulate=ON
    cmake --preset $sanitizer -DSACCADE_EMULATE=$emulate >/dev/null
    cmake --build --preset $sanitizer
    ctest --preset $sanitizer -L c -j2
done

step "fuzzing, $fuzz_seconds s a target"
for target in build/asan/bin/fuzz_*; do
    [ -x "$target" ] || continue
    name=$(basename "$target")
    found=$(mktemp -d)
    "$target" -max_total_time="$fuzz_seconds" -artifact_prefix="$found/" -rss_limit_mb=4096 \
        "$found" "tests/fuzz/corpus/${name#fuzz_}" >"$found.log" 2>&1 || {
        cat "$found.log" >&2
        echo "$name failed; its input is in $found" >&2
        exit 1
    }
    echo "$name: nothing found in $(sed -n 's/^Done \([0-9]* runs\).*/\1/p' "$found.log")"
    rm -rf "$found" "$found.log"
done

step 'all tests passed'
