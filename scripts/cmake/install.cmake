# Install, export and package. `find_package(cmsim)` gives
#   cmsim::policy   headers only, for a policy plugin: the cmsim binary that loads it has the rest
#   cmsim::cmsim    all rooms, for a program of one's own

include(CMakePackageConfigHelpers)
set(cmake_directory ${CMAKE_INSTALL_LIBDIR}/cmake/cmsim)

add_library(cmsim_library INTERFACE)
add_library(cmsim::cmsim ALIAS cmsim_library)
set_target_properties(cmsim_library PROPERTIES EXPORT_NAME cmsim)
target_link_libraries(cmsim_library INTERFACE cmsim_cli)

add_library(cmsim_policy INTERFACE)
add_library(cmsim::policy ALIAS cmsim_policy)
set_target_properties(cmsim_policy PROPERTIES EXPORT_NAME policy)
target_compile_features(cmsim_policy INTERFACE cxx_std_20)
target_include_directories(cmsim_policy INTERFACE
  $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include> $<BUILD_INTERFACE:${CMAKE_BINARY_DIR}/include>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

install(TARGETS cmsim RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
list(TRANSFORM CMSIM_ROOMS PREPEND cmsim_ OUTPUT_VARIABLE libraries)
install(TARGETS cmsim_library cmsim_policy cmsim_options ${libraries} EXPORT cmsim
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${CMAKE_BINARY_DIR}/include/cmsim DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/platforms ${CMAKE_SOURCE_DIR}/workloads
        DESTINATION ${CMAKE_INSTALL_DATADIR}/cmsim)
install(FILES ${CMAKE_SOURCE_DIR}/docs/scenario.schema.json
        DESTINATION ${CMAKE_INSTALL_DATADIR}/cmsim/docs)

install(EXPORT cmsim NAMESPACE cmsim:: FILE cmsimTargets.cmake DESTINATION ${cmake_directory})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/cmsimConfig.cmake.in cmsimConfig.cmake
                              INSTALL_DESTINATION ${cmake_directory})
# Before 1.0 a minor version may break a policy.
write_basic_package_version_file(cmsimConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/cmsimConfig.cmake ${CMAKE_BINARY_DIR}/cmsimConfigVersion.cmake
        DESTINATION ${cmake_directory})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "The CloudMatrixSim authors <cmsim@localhost>")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
# What the headers and cmsimConfig.cmake need; the binary itself needs only what SHLIBDEPS finds.
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libsimgrid-dev, libboost-graph-dev, libboost-iostreams-dev, \
nlohmann-json3-dev, libspdlog-dev, libsqlite3-dev, pkg-config")
include(CPack)
