#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# All checks of CUDA code on this machine's GPU, several side by side: each as it is, then smaller
# under each tool of compute-sanitizer. The report is written anew after each of them.
#   tools/check-gpu.sh [BUILD]     BUILD: build/release, or what tools/pack.sh made of it elsewhere
# Environment: CHECK_GPU_ONLY   only lines of BUILD/bin/gpu/checks.txt that match this expression
#              CHECK_GPU_TOOLS  memcheck racecheck initcheck synccheck, or some of them, or nothing
#              CHECK_GPU_RUNS   "no": under the tools alone
#              CHECK_GPU_JOBS   how many at a time (half of the processors, at most 8)
#              CHECK_GPU_LIMIT  most seconds for a run (300); CHECK_GPU_TOOL_LIMIT: under a tool (150)
#              CHECK_GPU_BUDGET seconds for everything (no limit): what then runs is stopped, the
#                               rest is left out, and the report says so
#              CHECK_GPU_SANITIZER   the compute-sanitizer to use
#              CHECK_GPU_WORK   a new folder for all outputs, which is kept
#              CHECK_GPU_REPORT the report (bench/results/check-gpu.md)
# Exit: 0 all passed, 1 something failed, 5 no GPU.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release}
only=${CHECK_GPU_ONLY:-.}
tools=${CHECK_GPU_TOOLS-memcheck racecheck initcheck synccheck}
limit=${CHECK_GPU_LIMIT:-300}
tool_limit=${CHECK_GPU_TOOL_LIMIT:-150}
budget=${CHECK_GPU_BUDGET:-0}
report=${CHECK_GPU_REPORT:-bench/results/check-gpu.md}
jobs=${CHECK_GPU_JOBS:-$(($(nproc) / 2))}
[ -n "${CHECK_GPU_JOBS:-}" ] || jobs=$((jobs < 1 ? 1 : jobs > 8 ? 8 : jobs))

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
# Models that a packed build leaves out; a build tree makes all of them for its tests.
if [ -e "$build/commit" ]; then
    for arch in v5n v8n 11n; do
        model=$build/test-models/graph-$arch.onnx
        [ -e "$model" ] || "${PYTHON:-python3}" tests/models/generate.py "$arch" --size 128 --classes 3 \
            --dynamic batch height width -o "$model"
    done
else
    ctest --test-dir "$build" -Q -R '^(tiny_models|graph_model_)'
fi
[ ! -d "$build/lib/needed" ] || export LD_LIBRARY_PATH=$build/lib/needed:${LD_LIBRARY_PATH:-}
sanitizer=${CHECK_GPU_SANITIZER:-$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)}
if [ -n "$tools" ] && [ ! -x "$sanitizer" ]; then
    echo 'check-gpu: compute-sanitizer is missing: checks run without it' >&2
    tools=''
fi
sanitized=''
[ -z "$tools" ] || sanitized="; compute-sanitizer $("$sanitizer" --version | grep -oE '[0-9]{4}(\.[0-9]+)+' | head -n 1 || true)"
commit=$(cat "$build/commit" 2>/dev/null || git rev-parse --short HEAD 2>/dev/null || echo unknown)

work=${CHECK_GPU_WORK:-$(mktemp -d)}
mkdir -p "$work"
[ -n "${CHECK_GPU_WORK:-}" ] || trap 'rm -rf "$work"' EXIT
touch "$work/lock"
mkdir -p "$(dirname "$report")"

# The table, then the last lines of what failed.
write_report() {
    echo '# Checks on a GPU'
    echo
    echo "$gpu; $(date -u +%Y-%m-%d); commit $commit; \`make check-gpu\`, $SECONDS s$sanitized."
    echo
    echo '| check | result | time | last line |'
    echo '|---|---|---|---|'
    cat "$work"/*.row
    cat "$work"/*.tail 2>/dev/null || true
}

# done_with LOG NAME VERDICT SECONDS
done_with() {
    local said
    said=$(sed 's/^=* *//; /^$/d' "$1" | tail -n 1 | tr '|`' "/'" | cut -c1-120)
    exec 9>"$work/lock"
    flock 9
    echo "| $2 | $3 | $4 s | $said |" >"$1.row"
    echo "check-gpu: $2: $3 ($4 s) $said"
    [ "$3" = passed ] || touch "$work/failed"
    if [ "$3" != passed ] && [ -s "$1" ]; then
        { echo; echo "## $2"; echo; echo '```'; tail -n 25 "$1" | cut -c1-300; echo '```'; } >"$1.tail"
        cat "$1.tail"
    fi
    write_report >"$work/report"
    cp "$work/report" "$report"
    exec 9>&-
}

# one LOG NAME LIMIT COMMAND…: within the limit and what is left of the budget
one() {
    local log=$1 name=$2 most=$3 start=$SECONDS verdict=passed code=0
    shift 3
    : >"$log"
    [ "$budget" -eq 0 ] || [ $((budget - SECONDS)) -ge "$most" ] || most=$((budget - SECONDS))
    if [ "$most" -lt 3 ]; then
        done_with "$log" "$name" '**not run**: no time left' 0
        return
    fi
    timeout -k 5 "$most" "$@" >"$log" 2>&1 || code=$?
    [ $code -eq 0 ] || verdict="**failed** ($code)"
    [ $code -ne 124 ] && [ $code -ne 137 ] || verdict="**stopped after $most s**"
    done_with "$log" "$name" "$verdict" $((SECONDS - start))
}

count=100
# start NAME LIMIT COMMAND…: as soon as there is a place for it
start() {
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
    count=$((count + 1))
    one "$work/$count.log" "$@" &
}

# each KIND FUNCTION: with program, limit and arguments of each line of that kind
each() {
    local line kind most program arguments words
    while read -r line; do
        [[ $line =~ $only ]] || continue
        read -r kind most program arguments <<<"$line"
        read -ra words <<<"${arguments//@BUILD@/$build}"
        [ "$kind" != "$1" ] || "$2" "$program" "$most" "${words[@]}"
    done <"$list"
}

run() {
    local name=$1 most=$(($2 < limit ? $2 : limit))
    shift 2
    local words=("$name" "${@##*/}")
    start "${words[*]}" "$most" "$build/bin/gpu/$name" "$@"
}

sanitize() {
    local name=$1 options=(--tool "$tool" --error-exitcode 99 --print-limit 20)
    shift 2
    local words=("$name" "${@##*/}")
    [ "$tool" != memcheck ] || options+=(--leak-check full)
    start "${words[*]}, $tool" "$tool_limit" "$sanitizer" "${options[@]}" "$build/bin/gpu/$name" "$@"
}

if [ "${CHECK_GPU_RUNS:-yes}" != no ]; then
    each run run
    wait
    jobs=1 each alone run
fi
for tool in $tools; do each sanitize sanitize; done
wait
ls "$work"/*.row >/dev/null 2>&1 || { echo "check-gpu: nothing matches '$only'" >&2; exit 1; }
grep -h -F '**' "$work"/*.row | grep -v 'not run' || true
echo "check-gpu: $(grep -l '| passed |' "$work"/*.row | wc -l) passed," \
    "$(grep -F '**' "$work"/*.row | grep -cv 'not run') failed," \
    "$(grep -l 'not run' "$work"/*.row | wc -l) not run for want of time"
echo "check-gpu: report in $report, $SECONDS s"
[ ! -e "$work/failed" ]
