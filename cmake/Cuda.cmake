# SPDX-License-Identifier: Apache-2.0
# What the CUDA backend is made of, whoever compiles it: nvcc for the plugin, g++ for the emulated
# one of the tests. Each folder lists its own files:
#   saccade_cuda_sources(a.c b.cu …)
#   saccade_cuda_sources(EXACT a.c b.cu …)   no fused multiply-add: the same bits as the C reference
# They end up in the global properties SACCADE_CUDA_SOURCES and SACCADE_CUDA_EXACT (of the former).
include_guard()

set(SACCADE_CUDA AUTO CACHE STRING "build the CUDA backend: ON, OFF, AUTO (where nvcc is found)")
set_property(CACHE SACCADE_CUDA PROPERTY STRINGS AUTO ON OFF)

function(saccade_cuda_sources)
    cmake_parse_arguments(S "EXACT" "" "" ${ARGN})
    list(TRANSFORM S_UNPARSED_ARGUMENTS PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/")
    set_property(GLOBAL APPEND PROPERTY SACCADE_CUDA_SOURCES ${S_UNPARSED_ARGUMENTS})
    if(S_EXACT)
        set_property(GLOBAL APPEND PROPERTY SACCADE_CUDA_EXACT ${S_UNPARSED_ARGUMENTS})
    endif()
endfunction()

if(SACCADE_CUDA)
    include(CheckLanguage)
    check_language(CUDA)
    if(CMAKE_CUDA_COMPILER)
        # Chosen by the plugin's own options; CMake would ask the machine's GPU.
        set(CMAKE_CUDA_ARCHITECTURES OFF)
        enable_language(CXX CUDA)
        find_package(CUDAToolkit 13.0)
    endif()
    if(CUDAToolkit_FOUND)
        set(SACCADE_HAS_NVCC ON)
        message(STATUS "CUDA: ${CUDAToolkit_VERSION} in ${CUDAToolkit_BIN_DIR}")
    elseif(SACCADE_CUDA STREQUAL "ON")
        message(FATAL_ERROR "CUDA 13 (nvcc) was not found; set CMAKE_CUDA_COMPILER")
    else()
        message(STATUS "CUDA: no nvcc of CUDA 13, its backend is not built")
    endif()
endif()
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
