# SPDX-License-Identifier: Apache-2.0
# OpenVINO of the system or of OpenVINO_DIR first, else the wheel that `make deps` unpacked into
# .deps/openvino. Sets OpenVINO_FOUND, the target openvino::runtime::c, and for the wheel
# SACCADE_OPENVINO_BUNDLE: the libraries that go along with an installed plugin.
set(SACCADE_OPENVINO_BUNDLE "")
# The first version whose C interface takes properties as an array.
set(_minimum 2026.0)
find_package(OpenVINO ${_minimum} CONFIG QUIET)
if(NOT OpenVINO_FOUND)
    find_package(OpenVINO ${_minimum} CONFIG QUIET
        PATHS ${PROJECT_SOURCE_DIR}/.deps/openvino/cmake NO_DEFAULT_PATH)
endif()

file(REAL_PATH ${PROJECT_SOURCE_DIR}/.deps/openvino _wheel)
file(REAL_PATH "${OpenVINO_DIR}" _found)
string(FIND "${_found}/" "${_wheel}/" _in_wheel)
if(OpenVINO_FOUND AND _in_wheel EQUAL 0)
    set(SACCADE_OPENVINO_LIBS ${_wheel}/libs)
    # What reads ONNX, compiles and runs on the processor. Without the IR front end a compiled
    # network cannot be loaded again.
    foreach(_name openvino_c openvino openvino_onnx_frontend openvino_ir_frontend
                  openvino_intel_cpu_plugin tbb)
        file(GLOB _files ${_wheel}/libs/lib${_name}.so*)
        list(LENGTH _files _count)
        if(NOT _count EQUAL 1)
            message(FATAL_ERROR "${_wheel}/libs has ${_count} files lib${_name}.so*, not one: "
                                "remove .deps/openvino and run make deps")
        endif()
        list(APPEND SACCADE_OPENVINO_BUNDLE ${_files})
    endforeach()
endif()
