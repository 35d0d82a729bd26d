#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# All checks of CUDA code on this machine's GPU: each as it is, then smaller under each tool of
# compute-sanitizer. Writes a report.
#   tools/check-gpu.sh [BUILD]     BUILD: build/release, or what tools/pack.sh made of it elsewhere
# Environment: CHECK_GPU_ONLY  only checks whose name matches this expression
#              CHECK_GPU_TOOLS memcheck racecheck initcheck synccheck, or some of them, or nothing
#              CHECK_GPU_LIMIT seconds for a run (300)
#              CHECK_GPU_REPORT the report (bench/results/check-gpu.md)
# Exit: 0 all passed, 1 something failed, 5 no GPU.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release}
only=${CHECK_GPU_ONLY:-.}
tools=${CHECK_GPU_TOOLS-memcheck racecheck initcheck synccheck}
limit=${CHECK_GPU_LIMIT:-300}
report=${CHECK_GPU_REPORT:-bench/results/check-gpu.md}

no_gpu() { echo "check-gpu: $*" >&2; exit 5; }
command -v nvidia-smi >/dev/null || no_gpu 'no NVIDIA driver here (nvidia-smi is missing)'
gpu=$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null | head -n 1) ||
    no_gpu 'no GPU: nvidia-smi finds none'
[ -n "$gpu" ] || no_gpu 'no GPU: nvidia-smi finds none'

list=$build/bin/gpu/checks.txt
if [ ! -e "$list" ]; then
    make build
    [ -e "$list" ] || { echo 'check-gpu: the build has no CUDA: nvcc is missing' >&2; exit 1; }
fi
[ ! -d "$build/lib/needed" ] || export LD_LIBRARY_PATH=$build/lib/needed:${LD_LIBRARY_PATH:-}
sanitizer=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
if [ -n "$tools" ] && [ ! -x "$sanitizer" ]; then
    echo 'check-gpu: compute-sanitizer is missing: checks run without it' >&2
    tools=''
fi
commit=$(cat "$build/commit" 2>/dev/null || git rev-parse --short HEAD 2>/dev/null || echo unknown)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

# one NAME LOG COMMAND…: runs it within the limit; a line of the table goes to NAME.row
one() {
    local name=$1 log=$2 start=$SECONDS verdict=passed code=0
    shift 2
    timeout "$limit" "$@" >"$log" 2>&1 || code=$?
    [ $code -eq 0 ] || verdict="**failed** ($code)"
    [ $code -ne 124 ] || verdict="**not done in $limit s**"
    local said
    said=$(sed 's/^=* *//; /^$/d' "$log" | tail -n 1 | tr '|' '/' | cut -c1-120)
    echo "| $name | $verdict | $((SECONDS - start)) s | $said |" >"$log.row"
    echo "check-gpu: $name: $verdict ($((SECONDS - start)) s)" >&2
    [ $code -eq 0 ] || { touch "$work/failed"; tail -n 20 "$log" >&2; }
}

# Tools of one check side by side: they share the GPU, and most of their time is the processor's.
sanitize() {
    local program=$1 tool
    shift
    for tool in $tools; do
        local options=(--tool "$tool" --error-exitcode 99 --print-limit 20)
        [ "$tool" != memcheck ] || options+=(--leak-check full)
        count=$((count + 1))
        one "$program, $tool" "$work/$count.log" "$sanitizer" "${options[@]}" \
            "$build/bin/gpu/$program" "$@" &
    done
    wait
}

count=100
while read -r kind program arguments; do
    [[ $program =~ $only ]] || continue
    read -ra words <<<"${arguments//@BUILD@/$build}"
    if [ "$kind" = run ]; then
        count=$((count + 1))
        one "$program${arguments:+ ${arguments//@BUILD@\//}}" "$work/$count.log" \
            "$build/bin/gpu/$program" "${words[@]}"
    else
        sanitize "$program" "${words[@]}"
    fi
done < <(sort -s -k1,1 "$list")
[ ! -e "$work/failed" ] || status=1

mkdir -p "$(dirname "$report")"
{
    echo '# Checks on a GPU'
    echo
    echo "$gpu; $(date -u +%Y-%m-%d); commit $commit; \`make check-gpu\` in $SECONDS s."
    echo
    echo '| check | result | time | last line |'
    echo '|---|---|---|---|'
    cat "$work"/*.row
} >"$report"
echo "check-gpu: report in $report" >&2
exit $status
