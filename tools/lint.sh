#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a reviewer need not say: warnings as errors, static analysis, licence lines, file lengths.
set -euo pipefail
cd "$(dirname "$0")/.."
status=0
complain() { echo "lint: $*" >&2; status=1; }

cmake --preset debug >/dev/null
cmake --build --preset debug

mapfile -t sources < <(git ls-files '*.c' '*.h' '*.cu' '*.cuh' '*.cpp')
for file in "${sources[@]}"; do
    head -n 2 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || complain "$file: no licence"
    [ "$(wc -l <"$file")" -le 600 ] || complain "$file: more than 600 lines"
    ! grep -nP '\t| $' "$file" || complain "$file: tab or trailing space"
done
! LC_ALL=C.UTF-8 grep -nE '^.{101,}' "${sources[@]}" || complain 'lines of more than 100 columns'
if command -v cppcheck >/dev/null; then
    cppcheck -q --enable=warning,portability --inline-suppr --error-exitcode=1 --std=c11 \
        --suppress=missingIncludeSystem -Iinclude -Isrc src cli || status=1
fi
if command -v shellcheck >/dev/null; then
    git ls-files '*.sh' .ci/run | xargs shellcheck || status=1
fi
exit $status
