#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copies what a GPU machine needs to run a build, where nothing can be installed: the program, the
# library and the CUDA plugin, the GPU's checks, and the libraries below them but the C library's.
#     tools/bundle.sh BUILD FOLDER        then there: tools/bench-gpu.sh FOLDER
set -euo pipefail
build=$1 folder=$2
rm -rf "$folder"
mkdir -p "$folder/bin" "$folder/lib" "$folder/bundled"
cp "$build/bin/saccade" "$build/bin/draw_chart" "$build"/bin/example_* "$folder/bin/"
cp -P "$build"/lib/libsaccade.so* "$folder/lib/"
if [ -e "$build/lib/libsaccade-cuda.so" ]; then cp "$build/lib/libsaccade-cuda.so" "$folder/lib/"; fi
if [ -d "$build/bin/gpu" ]; then cp -r "$build/bin/gpu" "$folder/bin/"; fi

find "$folder/bin" "$folder/lib" -type f -print0 | xargs -0 -n1 ldd 2>/dev/null |
    awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u |
    grep -vE '/(ld-linux|lib(c|m|dl|rt|pthread|resolv|gcc_s|stdc\+\+|saccade)[.-])' |
    xargs -r cp -L -t "$folder/bundled"
find "$folder" -type f -exec strip --strip-unneeded {} + 2>/dev/null || true
du -sh "$folder"
