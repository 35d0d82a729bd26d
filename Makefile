# SPDX-License-Identifier: Apache-2.0
# A thin front: everything is done by CMake, its presets and the scripts in tools/.
PREFIX ?= /usr/local
DESTDIR ?=
BUILD := build/release
PYTHON := .venv/bin/python

.PHONY: all deps build demo test bench lint install check-gpu bench-gpu tensorrt clean

all: build

deps:
	tools/deps.sh

build: deps
	cmake --preset release $(CMAKE_FLAGS)
	cmake --build --preset release

# The TensorRT backend: TENSORRT_ROOT is a folder with include/NvInfer.h.
tensorrt: deps
	cmake --preset release $(CMAKE_FLAGS) -DSACCADE_TENSORRT_ROOT=$(TENSORRT_ROOT)
	cmake --build --preset release --target saccade_tensorrt saccade_cli

# Builds what it runs and no tests: most of a whole build is CUDA code, emulated for them.
demo: deps
	cmake --preset release $(CMAKE_FLAGS)
	cmake --build --preset release --target saccade_cli saccade_openvino
	tools/demo.sh $(BUILD)

test: build $(PYTHON)
	tools/test.sh

bench: build $(PYTHON)
	tools/bench.sh $(BUILD)

lint:
	tools/lint.sh

# Without DESTDIR also the loader's cache, else programs do not find libsaccade.so.0 in /usr/local.
install: build
	DESTDIR=$(DESTDIR) cmake --install $(BUILD) --prefix $(PREFIX)
	test -n "$(DESTDIR)" || test "$$(id -u)" != 0 || PATH=$$PATH:/sbin:/usr/sbin ldconfig

# Python is for tests and for the programs that we are measured against.
$(PYTHON): tests/requirements.txt
	python3 -m venv .venv
	$(PYTHON) -m pip install -q --disable-pip-version-check -r tests/requirements.txt
	touch $(PYTHON)

check-gpu: $(PYTHON)
	tools/check-gpu.sh $(BUILD)

# Options: GPU_OPTIONS="--parts ours --cases s6-1280-b1"
bench-gpu:
	tools/bench-gpu.sh $(BUILD) $(GPU_OPTIONS)

clean:
	rm -rf build
