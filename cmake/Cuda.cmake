# SPDX-License-Identifier: Apache-2.0
# Everything with CUDA in it is built up to twice: by nvcc for GPUs (SACCADE_CUDA), and for the tests
# by the host's C++ compiler over tests/cuda/emulator (SACCADE_EMULATE). The twin of target NAME is
# called NAME_emulated.
#
#   saccade_cuda_library(NAME SOURCES… [EXACT] [LINK LIBRARIES…])   a static library
#   saccade_cuda_plugin(NAME OUTPUT FILE SOURCES… LINK … [STAY])     a plugin; STAY: not installed
#   saccade_cuda_check(NAME SOURCES… LINK … [EMULATED] [ARGUMENTS …] [GPU …] [SMALL …]
#                      [TOOLS …] [LIMIT seconds] [ALONE])
#       a check: emulated it is a test with ARGUMENTS; by nvcc it is a program that
#       tools/check-gpu.sh runs on a machine with a GPU, once for each string of GPU (without GPU:
#       with ARGUMENTS) and for LIMIT (120) seconds at most, and once for each string of
#       TOOLS (without: with SMALL, or ARGUMENTS) under each tool of compute-sanitizer. Tests built
#       with sanitizers run with SMALL too. The library itself is linked.
#       EMULATED: not by nvcc. ALONE: with nothing beside it, since it watches the device's memory.
# LINK names of such libraries mean the twin in the twin. EXACT: floating-point as written, for
# files that use ops/math.
set(SACCADE_CUDA AUTO CACHE STRING "CUDA backend: ON, OFF, or AUTO: where nvcc is found")
set_property(CACHE SACCADE_CUDA PROPERTY STRINGS AUTO ON OFF)
option(SACCADE_EMULATE "build the CUDA code for the CPU too, for the tests" ${BUILD_TESTING})

set(cuda_emulator ${PROJECT_SOURCE_DIR}/tests/cuda/emulator)

macro(saccade_cuda_enable)
    include(CheckLanguage)
    if(SACCADE_SANITIZE MATCHES thread) # its runtime does not follow fibers
        set(SACCADE_EMULATE OFF)
    endif()
    if(SACCADE_EMULATE)
        check_language(CXX)
        if(CMAKE_CXX_COMPILER)
            enable_language(CXX)
            set(CMAKE_CXX_STANDARD 17)
            set(CMAKE_CXX_STANDARD_REQUIRED ON)
            set(CMAKE_CXX_EXTENSIONS OFF)
        else()
            message(STATUS "CUDA: no C++ compiler, its kernels are not tested here")
            set(SACCADE_EMULATE OFF)
        endif()
    endif()
    set(cuda_built OFF)
    if(NOT SACCADE_CUDA STREQUAL "OFF" AND NOT SACCADE_SANITIZE)
        find_program(SACCADE_NVCC nvcc PATHS /usr/local/cuda/bin)
        if(SACCADE_NVCC)
            set(CMAKE_CUDA_COMPILER ${SACCADE_NVCC})
            set(CMAKE_CUDA_ARCHITECTURES 80-real 90a-real 90-virtual)
            enable_language(CUDA)
            set(CMAKE_CUDA_STANDARD 17)
            set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
            set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
            find_package(CUDAToolkit REQUIRED)
            set(cuda_built ON)
            message(STATUS "CUDA: nvcc ${CMAKE_CUDA_COMPILER_VERSION}")
            cmake_language(DEFER CALL saccade_cuda_list_checks)
        elseif(SACCADE_CUDA STREQUAL "ON")
            message(FATAL_ERROR "CUDA: no nvcc (set SACCADE_NVCC, or SACCADE_CUDA=OFF)")
        else()
            message(STATUS "CUDA: no nvcc, its backend is not built")
        endif()
    endif()
endmacro()

# What tools/check-gpu.sh is to run, after all checks were named.
function(saccade_cuda_list_checks)
    get_property(lines GLOBAL PROPERTY saccade_cuda_runs)
    if(lines)
        file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/bin/gpu/checks.txt CONTENT "${lines}")
    endif()
endfunction()

# Names of LINK for a twin: ours get its suffix, others stay. Ours need not be known yet.
function(cuda_links out suffix)
    set(links "")
    foreach(name ${ARGN})
        get_property(ours GLOBAL PROPERTY saccade_cuda_libraries)
        if(name IN_LIST ours)
            list(APPEND links ${name}${suffix})
        else()
            list(APPEND links ${name})
        endif()
    endforeach()
    set(${out} ${links} PARENT_SCOPE)
endfunction()

# nvcc's own words for what the whole project asks of gcc, and for exact floating-point.
function(cuda_compile target exact)
    target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
    target_compile_options(${target} PRIVATE
        $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Wno-unused-function --expt-relaxed-constexpr>)
    if(exact)
        target_compile_options(${target} PRIVATE
            $<$<COMPILE_LANGUAGE:CUDA>:--fmad=false -Xcompiler=-ffp-contract=off>
            $<$<COMPILE_LANGUAGE:C>:-ffp-contract=off>)
    endif()
    target_link_libraries(${target} PUBLIC CUDA::cudart_static Threads::Threads)
endfunction()

# The emulator's headers stand before all others. A .cu file is compiled through a .cpp that includes it.
function(cuda_emulate target exact)
    target_include_directories(${target} BEFORE PUBLIC ${cuda_emulator}/include)
    target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
    target_compile_definitions(${target} PUBLIC SAC_EMULATED)
    target_compile_options(${target} PRIVATE
        $<$<COMPILE_LANGUAGE:CXX>:-O2 -fno-strict-aliasing -Wno-unknown-pragmas -Wno-unused-function
            -Wno-unused-parameter -Wno-shadow>
        $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-psabi>) # notes on 64-byte parameters
    target_compile_options(${target} PRIVATE -ffp-contract=off)
    # Pointers that may be null are moved and tested before use; programs in C link without clang's
    # C++ part.
    if(SACCADE_SANITIZE MATCHES undefined)
        target_compile_options(${target} PRIVATE -fno-sanitize=pointer-overflow,vptr,function)
    endif()
    target_link_libraries(${target} PUBLIC cuda_emulator Threads::Threads m)
endfunction()

function(cuda_emulated_sources out target)
    set(files "")
    foreach(source ${ARGN})
        if(source MATCHES "\\.cu$")
            set(wrapper ${CMAKE_CURRENT_BINARY_DIR}/${target}/${source}.cpp)
            file(GENERATE OUTPUT ${wrapper} CONTENT "#include \"${CMAKE_CURRENT_SOURCE_DIR}/${source}\"\n")
            list(APPEND files ${wrapper})
        else()
            list(APPEND files ${source})
        endif()
    endforeach()
    set(${out} ${files} PARENT_SCOPE)
endfunction()

function(saccade_cuda_library name)
    cmake_parse_arguments(T "EXACT" "" "SOURCES;LINK" ${ARGN})
    set_property(GLOBAL APPEND PROPERTY saccade_cuda_libraries ${name})
    if(cuda_built)
        add_library(${name} STATIC ${T_SOURCES})
        cuda_compile(${name} ${T_EXACT})
        cuda_links(links "" ${T_LINK})
        target_link_libraries(${name} PUBLIC ${links})
    endif()
    if(SACCADE_EMULATE)
        cuda_emulated_sources(files ${name}_emulated ${T_SOURCES})
        add_library(${name}_emulated STATIC EXCLUDE_FROM_ALL ${files})
        cuda_emulate(${name}_emulated ${T_EXACT})
        cuda_links(links _emulated ${T_LINK})
        target_link_libraries(${name}_emulated PUBLIC ${links})
    endif()
endfunction()

function(saccade_cuda_plugin name)
    cmake_parse_arguments(T "STAY" "OUTPUT" "SOURCES;LINK" ${ARGN})
    if(cuda_built)
        add_library(${name} MODULE ${T_SOURCES})
        cuda_compile(${name} OFF)
        cuda_links(links "" ${T_LINK})
        target_link_libraries(${name} PRIVATE ${links})
        set_target_properties(${name} PROPERTIES OUTPUT_NAME ${T_OUTPUT})
        target_link_options(${name} PRIVATE LINKER:--exclude-libs,ALL)
        if(NOT T_STAY)
            install(TARGETS ${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/saccade)
        endif()
    endif()
    if(SACCADE_EMULATE)
        cuda_emulated_sources(files ${name}_emulated ${T_SOURCES})
        add_library(${name}_emulated MODULE ${files})
        cuda_emulate(${name}_emulated OFF)
        cuda_links(links _emulated ${T_LINK})
        target_link_libraries(${name}_emulated PRIVATE ${links})
        set_target_properties(${name}_emulated PROPERTIES OUTPUT_NAME ${T_OUTPUT}
            LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib/emulated)
    endif()
endfunction()

function(saccade_cuda_check name)
    cmake_parse_arguments(T "EMULATED;ALONE" "LIMIT" "SOURCES;LINK;ARGUMENTS;GPU;SMALL;TOOLS"
        ${ARGN})
    list(JOIN T_ARGUMENTS " " arguments)
    list(JOIN T_SMALL " " small)
    # As an archive: a check needs no more shared libraries than the code that it calls.
    list(REMOVE_ITEM T_LINK saccade_objects)
    list(APPEND T_LINK saccade_archive)
    if(NOT T_GPU)
        set(T_GPU "${arguments}")
    endif()
    if(NOT small)
        set(small "${arguments}")
    endif()
    if(NOT T_TOOLS)
        set(T_TOOLS "${small} ") # a list of one, even without words
    endif()
    if(NOT T_LIMIT)
        set(T_LIMIT 120)
    endif()
    if(cuda_built AND NOT T_EMULATED)
        add_executable(${name}_gpu ${T_SOURCES})
        cuda_compile(${name}_gpu ON)
        cuda_links(links "" ${T_LINK})
        target_link_libraries(${name}_gpu PRIVATE ${links})
        target_include_directories(${name}_gpu PRIVATE ${PROJECT_SOURCE_DIR}/tests)
        target_link_options(${name}_gpu PRIVATE LINKER:--as-needed -static-libstdc++ -static-libgcc)
        set_target_properties(${name}_gpu PROPERTIES OUTPUT_NAME ${name}
            RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin/gpu)
        set(lines "")
        foreach(words IN LISTS T_TOOLS)
            string(APPEND lines "sanitize ${T_LIMIT} ${name} ${words}\n")
        endforeach()
        set(kind run)
        if(T_ALONE)
            set(kind alone)
        endif()
        foreach(run IN LISTS T_GPU)
            string(APPEND lines "${kind} ${T_LIMIT} ${name} ${run}\n")
        endforeach()
        if("${T_GPU}" STREQUAL "")
            string(APPEND lines "${kind} ${T_LIMIT} ${name}\n")
        endif()
        string(REPLACE "${CMAKE_BINARY_DIR}/" "@BUILD@/" lines "${lines}") # the tree may move
        set_property(GLOBAL APPEND_STRING PROPERTY saccade_cuda_runs "${lines}")
    endif()
    if(SACCADE_EMULATE)
        cuda_emulated_sources(files ${name}_emulated ${T_SOURCES})
        add_executable(${name}_emulated ${files})
        cuda_emulate(${name}_emulated ON)
        cuda_links(links _emulated ${T_LINK})
        target_link_libraries(${name}_emulated PRIVATE ${links})
        target_include_directories(${name}_emulated PRIVATE ${PROJECT_SOURCE_DIR}/tests)
        if(SACCADE_SANITIZE AND T_SMALL) # slower
            set(T_ARGUMENTS ${T_SMALL})
        endif()
        add_test(NAME ${name} COMMAND ${name}_emulated ${T_ARGUMENTS})
        set_tests_properties(${name} PROPERTIES LABELS "c;emulated" TIMEOUT 600
            ENVIRONMENT SACCADE_EMULATOR_OVERLAP=1)
    endif()
endfunction()
