# SPDX-License-Identifier: Apache-2.0
# The plugin through the public API, over networks of a few kilobytes.
set(tiny ${CMAKE_BINARY_DIR}/test-models)
add_test(NAME tiny_models COMMAND ${PROJECT_SOURCE_DIR}/.venv/bin/python
    ${CMAKE_CURRENT_SOURCE_DIR}/models.py ${tiny})
set_tests_properties(tiny_models PROPERTIES LABELS c FIXTURES_SETUP tiny_models)
foreach(name engine engine_failures)
    saccade_cuda_check(test_${name}
        SOURCES test_${name}.c engine_case.c
        LINK saccade_objects saccade_cuda_graph PkgConfig::CMOCKA
        ARGUMENTS ${tiny})
    if(TEST test_${name})
        set_tests_properties(test_${name} PROPERTIES FIXTURES_REQUIRED tiny_models)
        add_dependencies(test_${name}_emulated saccade_cuda_emulated)
    endif()
endforeach()
