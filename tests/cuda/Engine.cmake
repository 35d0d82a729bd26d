# SPDX-License-Identifier: Apache-2.0
# The plugin through the public API, over networks of a few kilobytes.
set(tiny ${CMAKE_BINARY_DIR}/test-models)
add_test(NAME tiny_models COMMAND ${PROJECT_SOURCE_DIR}/.venv/bin/python
    ${CMAKE_CURRENT_SOURCE_DIR}/models.py ${tiny})
set_tests_properties(tiny_models PROPERTIES LABELS c FIXTURES_SETUP tiny_models)
saccade_cuda_check(check_soak
    SOURCES check_soak.c engine_case.c
    LINK saccade_objects saccade_cuda_graph PkgConfig::CMOCKA
    ARGUMENTS ${tiny} 40 GPU "${tiny} 50000" SMALL ${tiny} 40 boxes
    TOOLS "${tiny} 4 boxes" LIMIT 120 ALONE)
if(TEST check_soak)
    set_tests_properties(check_soak PROPERTIES FIXTURES_REQUIRED tiny_models)
    add_dependencies(check_soak_emulated saccade_cuda_emulated)
endif()
set(tests_of_engine "") # in parts, for compute-sanitizer
foreach(part the staged pictures large threads a_job kernels)
    list(APPEND tests_of_engine "${tiny} ${part}_* 1")
endforeach()
set(tests_of_engine_failures ${tiny})
foreach(name engine engine_failures)
    saccade_cuda_check(test_${name}
        SOURCES test_${name}.c engine_case.c
        LINK saccade_objects saccade_cuda_graph PkgConfig::CMOCKA
        ARGUMENTS ${tiny} TOOLS ${tests_of_${name}})
    if(TEST test_${name})
        set_tests_properties(test_${name} PROPERTIES FIXTURES_REQUIRED tiny_models)
        add_dependencies(test_${name}_emulated saccade_cuda_emulated)
    endif()
endforeach()

# Streams that work only when somebody waits: what is read too early has not been written.
if(TARGET test_engine_emulated)
    add_test(NAME test_engine_late COMMAND test_engine_emulated ${tiny})
    set_tests_properties(test_engine_late PROPERTIES LABELS "c;emulated" TIMEOUT 300
        FIXTURES_REQUIRED tiny_models ENVIRONMENT SACCADE_EMULATOR_LATE=1)
endif()
