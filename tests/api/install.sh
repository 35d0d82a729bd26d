#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the build into an empty folder, moves it, and builds and runs a ten-line program against
# it: once with CMake's find_package, once with pkg-config.
#     install.sh SOURCE BUILD
set -euo pipefail
source=$1 build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

DESTDIR=$work/stage cmake --install "$build" --prefix /usr >/dev/null
mv "$work/stage/usr" "$work/moved"
lib=$(dirname "$(find "$work/moved" -name libsaccade.so.0)")

exported=$(nm -D --defined-only "$lib/libsaccade.so.0" | awk '{print $3}' | grep -v '^sac_[a-z]' || true)
[ -z "$exported" ] || { echo "exported but not of the API: $exported" >&2; exit 1; }

cat >"$work/program.c" <<'END'
#include <saccade/saccade.h>
#include <stdio.h>
#include <string.h>
int main(void)
{
    sac_detector *detector;
    int error = sac_detector_open(&detector, "/nowhere/model.onnx", NULL);
    puts(sac_error_message());
    return !(error == SAC_EIO && strcmp(sac_version(), SAC_VERSION) == 0);
}
END
cat >"$work/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(program C)
find_package(saccade 0.1 REQUIRED)
add_executable(program program.c)
target_link_libraries(program saccade::saccade)
END
cmake -S "$work" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/moved" >/dev/null
cmake --build "$work/build" >/dev/null
"$work/build/program"

export PKG_CONFIG_PATH=$lib/pkgconfig
# shellcheck disable=SC2046 # pkg-config's answer is several words
${CC:-cc} -std=c11 -o "$work/program" "$work/program.c" $(pkg-config --cflags --libs saccade)
LD_LIBRARY_PATH=$lib "$work/program"

# The programs of the README against the installed tree, with its own model and plugin.
model=$work/moved/share/saccade/models/codes-n.onnx
if [ -e "$model" ] && [ -e "$lib/saccade/libsaccade-openvino.so" ]; then
    for example in boxes engine; do
        # shellcheck disable=SC2046 # as above
        ${CC:-cc} -std=c11 -o "$work/$example" "$source/examples/$example.c" \
            $(pkg-config --cflags --libs saccade)
        env -u SACCADE_PLUGINS XDG_CACHE_HOME="$work/cache" LD_LIBRARY_PATH="$lib" \
            "$work/$example" "$model"
    done
fi
echo "installed tree serves programs"
