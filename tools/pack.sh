#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes a build that runs on another machine without its packages: programs, libraries, plugins and
# test models with every shared library they need but the compiler's own.
#   tools/pack.sh [BUILD [PACKED]]     build/release, build/packed; PACKED.tar.gz holds it too
# There: LD_LIBRARY_PATH=PACKED/lib:PACKED/lib/needed PACKED/bin/saccade …, and
# tools/check-gpu.sh PACKED, tools/bench-gpu.sh PACKED
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release}
packed=${2:-build/packed}

ctest --test-dir "$build" -Q -R '^tiny_models$'
rm -rf "$packed"
mkdir -p "$packed/bin" "$packed/lib/needed"
[ ! -d "$build/bin/gpu" ] || cp -r "$build/bin/gpu" "$packed/bin/"
mkdir -p "$packed/test-models" # without the large ones, which tools/check-gpu.sh makes
cp "$build"/test-models/tiny-*.onnx "$packed/test-models/"
cp -P "$build"/lib/libsaccade.so* "$packed/lib/"
for plugin in cuda tensorrt; do
    [ ! -e "$build/lib/libsaccade-$plugin.so" ] || cp "$build/lib/libsaccade-$plugin.so" "$packed/lib/"
done
[ ! -d "$build/lib/stand-in" ] || cp -r "$build/lib/stand-in" "$packed/lib/"
for program in saccade draw_chart example_staged example_resident test_jobs test_context; do
    [ ! -e "$build/bin/$program" ] || cp "$build/bin/$program" "$packed/bin/"
done
find "$packed" -type f \( -perm -u+x -o -name '*.so*' \) -print0 | xargs -0 env LD_LIBRARY_PATH="$packed/lib" ldd 2>/dev/null |
    awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
    grep -vE '/(libc|libm|libdl|librt|libpthread|libstdc\+\+|libgcc_s|ld-linux.*)\.so|/libsaccade|/libcuda\.so' |
    xargs -r cp -Lt "$packed/lib/needed"
find "$packed" -type f \( -perm -u+x -o -name '*.so*' \) -exec strip --strip-unneeded {} + 2>/dev/null || true
missing=$(find "$packed" -type f \( -perm -u+x -o -name '*.so*' \) -print0 |
    xargs -0 env LD_LIBRARY_PATH="$packed/lib:$packed/lib/needed" ldd 2>/dev/null | grep 'not found' || true)
[ -z "$missing" ] || { echo "pack: $missing" >&2; exit 1; }
git rev-parse --short HEAD >"$packed/commit"
tar -C "$(dirname "$packed")" -czf "$packed.tar.gz" "$(basename "$packed")"
du -sh "$packed" "$packed.tar.gz"
