# SPDX-License-Identifier: Apache-2.0
# Headers, library, pkg-config file, CMake package, models. Plugins and the command line install
# themselves where they are built.
include(CMakePackageConfigHelpers)

install(TARGETS saccade EXPORT saccadeTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/saccade DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/saccade)
install(EXPORT saccadeTargets NAMESPACE saccade:: DESTINATION ${package_dir})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/saccadeConfig.cmake.in
    ${PROJECT_BINARY_DIR}/saccadeConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/saccadeConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/saccadeConfig.cmake
    ${PROJECT_BINARY_DIR}/saccadeConfigVersion.cmake DESTINATION ${package_dir})

# The .pc file finds its prefix from where it lies, so that an installed tree can be moved.
file(RELATIVE_PATH SACCADE_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" SACCADE_PC_PREFIX "${SACCADE_PC_PREFIX}")
configure_file(${CMAKE_CURRENT_LIST_DIR}/saccade.pc.in ${PROJECT_BINARY_DIR}/saccade.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/saccade.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/saccade/models
    FILES_MATCHING PATTERN "*.onnx" PATTERN "*.md")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
