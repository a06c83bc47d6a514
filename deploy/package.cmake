# What an installation holds beside the programs, and the .deb: cpack -G DEB in the build folder.
# What belongs to fixed places of a machine is a component of its own, which only the .deb installs.
set(host COMPONENT host EXCLUDE_FROM_ALL)
install(FILES deploy/systemd/slotgate.service deploy/systemd/slotgate@.service
              deploy/systemd/slotgate-migrate@.service DESTINATION /lib/systemd/system ${host})
install(FILES deploy/sysctl.d/60-slotgate.conf DESTINATION /usr/lib/sysctl.d ${host})
install(FILES deploy/limits.d/60-slotgate.conf DESTINATION /etc/security/limits.d ${host})
install(FILES deploy/slotgate.conf DESTINATION /etc/slotgate ${host})
install(FILES deploy/prometheus/slotgate.rules.yml deploy/grafana/slotgate.json
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md")

set(CPACK_PACKAGE_NAME slotgate)
set(CPACK_PACKAGE_VENDOR "The Slotgate authors")
set(CPACK_PACKAGE_CONTACT "The Slotgate authors <slotgate@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_GENERATOR DEB)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_COMPONENTS_ALL Unspecified host)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "passwd, procps")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${PROJECT_SOURCE_DIR}/deploy/debian/conffiles ${PROJECT_SOURCE_DIR}/deploy/debian/postinst
  ${PROJECT_SOURCE_DIR}/deploy/debian/prerm ${PROJECT_SOURCE_DIR}/deploy/debian/postrm)
include(CPack)
