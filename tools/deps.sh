#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs Debian's packages and unpacks the pinned OpenVINO wheel into .deps/openvino. Safe to run
# again: what is there stays.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
while read -r package; do
    case $package in '' | '#'*) continue ;; esac
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
        missing+=("$package")
done <tools/debian-packages.txt
if [ ${#missing[@]} -gt 0 ]; then
    sudo=''
    [ "$(id -u)" = 0 ] || sudo=sudo
    echo "installing: ${missing[*]}"
    $sudo apt-get update -q
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -q -y --no-install-recommends \
        "${missing[@]}"
fi

stamp=.deps/openvino/$(sha256sum tools/openvino.txt | cut -c1-16)
if [ ! -e "$stamp" ]; then
    rm -rf .deps/openvino .deps/wheel
    mkdir -p .deps/wheel
    python3 -m pip download -q --no-deps --only-binary=:all: --python-version 3.11 \
        --implementation cp --abi cp311 --platform manylinux_2_28_x86_64 --require-hashes \
        -r tools/openvino.txt -d .deps/wheel
    # The wheel is a zip archive; cmake unpacks it, so that no further tool is needed.
    (cd .deps/wheel && cmake -E tar xf ./*.whl)
    mv .deps/wheel/openvino .deps/openvino
    cp -r .deps/wheel/openvino-*.dist-info/licenses .deps/openvino/licenses 2>/dev/null || true
    rm -rf .deps/wheel
    touch "$stamp"
fi
