# Build rules of the house: one static library per folder of trireme/, one library per chip.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

# ccache: the folder of the checkout is no part of a result. Files are compared as they are and never by what the
# preprocessor makes of them (depend mode): #pragma once knows the headers of a precompiled header by their bytes.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 CCACHE_DEPEND=1
                                  CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE_PROGRAM})
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()

list(APPEND CMAKE_MODULE_PATH ${PROJECT_SOURCE_DIR}/cmake)
find_package(Threads REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(yaml-cpp REQUIRED)
if(NOT TARGET yaml-cpp::yaml-cpp)  # before 0.8 the target has no namespace
  add_library(yaml-cpp::yaml-cpp INTERFACE IMPORTED)
  target_link_libraries(yaml-cpp::yaml-cpp INTERFACE yaml-cpp)
endif()
find_package(PNG REQUIRED)
find_package(JPEG REQUIRED)
find_package(Freetype REQUIRED)
find_package(ZLIB REQUIRED)
find_package(libzip REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(Protobuf REQUIRED)
find_package(Python3 REQUIRED COMPONENTS Interpreter)

add_library(trireme_options INTERFACE)
target_include_directories(trireme_options INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/generated)
target_compile_options(trireme_options INTERFACE -Wall -Wextra -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(trireme_options INTERFACE -Wno-restrict)  # false alarms on "text" + std::string, GCC bug 105651
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
  # False alarms on references that functions return from deeper than the temporary they were given.
  target_compile_options(trireme_options INTERFACE -Wno-dangling-reference)
endif()
# Not with compilers newer than those we test with: what they newly warn of is no reason to stop a user's build.
if(TRIREME_WERROR AND NOT (CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13))
  target_compile_options(trireme_options INTERFACE -Werror)
endif()
if(TRIREME_SANITIZE)
  target_compile_options(trireme_options INTERFACE -fsanitize=${TRIREME_SANITIZE} -fno-omit-frame-pointer
                                                   -fno-sanitize-recover=all)
  target_link_options(trireme_options INTERFACE -fsanitize=${TRIREME_SANITIZE})
  if(TRIREME_SANITIZE MATCHES "address")  # these three it finds itself, and both together compile twice as long
    target_compile_options(trireme_options INTERFACE -fno-sanitize=null,object-size,vptr)
  endif()
endif()

# Everything of the house and the built-in chips: what programs and tests link.
add_library(trireme_all INTERFACE)

# trireme_folder(<name> [LINK public...] [PRIVATE private...] [SOURCES generated...]):
# the library trireme_<name> from trireme/<name>/*.cc.
function(trireme_folder name)
  cmake_parse_arguments(ARG "" "" "LINK;PRIVATE;SOURCES" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/trireme/${name}/*.cc)
  if(NOT sources)
    return()
  endif()
  add_library(trireme_${name} STATIC ${sources} ${ARG_SOURCES})
  target_link_libraries(trireme_${name} PUBLIC trireme_options ${ARG_LINK} PRIVATE ${ARG_PRIVATE})
  target_link_libraries(trireme_all INTERFACE trireme_${name})
endfunction()

# Ops: tools/opgen.py reads the declarations and writes the typed functions and the registry into the build folder.
function(trireme_ops)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  file(GLOB_RECURSE declarations CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/trireme/ops/*.op.cc)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/trireme/ops/*.cc)
  list(FILTER sources EXCLUDE REGEX "\\.op\\.cc$")
  set(generated ${PROJECT_BINARY_DIR}/generated/trireme)
  set(outputs ${generated}/ops/ops.h ${generated}/ops/ops.gen.cc ${generated}/tensor/ops.h
              ${generated}/tensor/ops.gen.cc)
  set(stamp ${generated}/opgen.stamp)
  add_custom_command(
    OUTPUT ${stamp} BYPRODUCTS ${outputs}
    COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/opgen.py ${PROJECT_SOURCE_DIR}/trireme/ops ${generated}
    COMMAND ${CMAKE_COMMAND} -E touch ${stamp}
    DEPENDS ${declarations} ${PROJECT_SOURCE_DIR}/tools/opgen.py
    COMMENT "Generating op functions from the declarations" VERBATIM)
  add_custom_target(trireme_opgen DEPENDS ${stamp})
  set_source_files_properties(${outputs} PROPERTIES GENERATED TRUE)

  add_library(trireme_ops STATIC ${sources} ${declarations} ${generated}/ops/ops.gen.cc)
  add_dependencies(trireme_ops trireme_opgen)
  # Declarations instantiate the same templates, so sixteen share a compilation (docs/adr/0010).
  set_target_properties(trireme_ops PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 16)
  set_source_files_properties(${generated}/ops/ops.gen.cc PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  # A question left out of a declaration does not compile, also where its answer is a list that could be empty. (By a
  # library of its own, so that it comes after the house's options.) The linkage warning holds only outside of unity.
  add_library(trireme_declaration_options INTERFACE)
  target_compile_options(trireme_declaration_options INTERFACE -Werror=missing-field-initializers
                                                               -Wno-subobject-linkage)
  target_precompile_headers(trireme_ops PRIVATE ${PROJECT_SOURCE_DIR}/trireme/ops/declare.h)
  target_link_libraries(trireme_ops PUBLIC trireme_options ${ARG_LINK} PRIVATE trireme_declaration_options)
  target_link_options(trireme_ops INTERFACE LINKER:--undefined=trireme_ops_installed)
  target_link_libraries(trireme_all INTERFACE trireme_ops)

  set(TRIREME_TENSOR_FUNCTIONS ${generated}/tensor/ops.gen.cc PARENT_SCOPE)
endfunction()

# trireme_chip(<name> [PRIVATE libs] [SOURCES generated...]): the chip, built into programs and as a loadable .so. Both
# hold the same objects; only the file of the entry, whose name differs, is compiled twice.
# A chip may include chip/, core/ and base/, and links nothing above them.
function(trireme_chip name)
  cmake_parse_arguments(ARG "" "" "PRIVATE;SOURCES" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
  list(FILTER sources EXCLUDE REGEX "^${CMAKE_CURRENT_SOURCE_DIR}/virtual/")  # a device of software, not its plug-in
  if(NOT sources)
    return()
  endif()
  set(entry "")
  foreach(source ${sources})
    file(STRINGS ${source} found REGEX "TRIREME_CHIP_ENTRY\\(" LIMIT_COUNT 1)
    if(found)
      list(APPEND entry ${source})
    endif()
  endforeach()
  list(REMOVE_ITEM sources ${entry})
  list(APPEND sources ${ARG_SOURCES})
  set(objects "")
  if(sources)
    add_library(trireme_chip_${name}_objects OBJECT ${sources})
    target_link_libraries(trireme_chip_${name}_objects PRIVATE trireme_options trireme_core ${ARG_PRIVATE})
    set(objects $<TARGET_OBJECTS:trireme_chip_${name}_objects>)
  endif()
  add_library(trireme_chip_${name} STATIC ${entry} ${objects})
  target_compile_definitions(trireme_chip_${name} PRIVATE TRIREME_CHIP_ENTRY=trm_chip_entry_v1_${name})
  target_link_libraries(trireme_chip_${name} PUBLIC trireme_options PRIVATE trireme_core ${ARG_PRIVATE})
  add_library(trireme_plugin_${name} MODULE ${entry} ${objects})
  set_target_properties(trireme_plugin_${name} PROPERTIES OUTPUT_NAME trireme_${name} LIBRARY_OUTPUT_DIRECTORY
                                                          ${PROJECT_BINARY_DIR}/chips)
  target_link_libraries(trireme_plugin_${name} PRIVATE trireme_options trireme_core ${ARG_PRIVATE})
  # One symbol leaves the library; symbols of the C++ library stay inside, so that two plug-ins cannot mix them.
  set(exports ${PROJECT_SOURCE_DIR}/cmake/chip.map)
  target_link_options(trireme_plugin_${name} PRIVATE -Wl,--version-script=${exports})
  set_target_properties(trireme_plugin_${name} PROPERTIES LINK_DEPENDS ${exports})
  if(NOT TRIREME_SANITIZE)  # clang's sanitizers leave their symbols to the program
    target_link_options(trireme_plugin_${name} PRIVATE -Wl,--no-undefined)
  endif()
  set_property(GLOBAL APPEND PROPERTY TRIREME_CHIPS ${name})
endfunction()

# Walks chips/*/, then generates the table of built-in chips, so that no file in the house names one.
function(trireme_chips)
  file(GLOB folders CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/chips/*/CMakeLists.txt)
  foreach(file ${folders})
    get_filename_component(folder ${file} DIRECTORY)
    add_subdirectory(${folder})
  endforeach()
  if(NOT TARGET trireme_chip)
    return()
  endif()
  get_property(chips GLOBAL PROPERTY TRIREME_CHIPS)
  set(declarations "")
  set(entries "")
  set(libraries "")
  foreach(chip ${chips})
    string(APPEND declarations "int32_t trm_chip_entry_v1_${chip}(const TrmHost* host, TrmChip* chip);\n")
    string(APPEND entries "    {\"${chip}\", trm_chip_entry_v1_${chip}},\n")
    list(APPEND libraries trireme_chip_${chip})
  endforeach()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/builtin_chips.cc CONTENT
"// Generated from the folders of chips/: the chips built into this program.
#include \"trireme/chip/loader.h\"
extern \"C\" {
@declarations@}
namespace trireme::chip {
std::span<const BuiltinChip> builtin_chips() {
  static const BuiltinChip table[] = {
@entries@  };
  return table;
}
}  // namespace trireme::chip
" @ONLY)
  add_library(trireme_builtin_chips STATIC ${PROJECT_BINARY_DIR}/generated/builtin_chips.cc)
  target_link_libraries(trireme_builtin_chips PUBLIC trireme_chip PRIVATE ${libraries})
  target_link_libraries(trireme_chip PRIVATE trireme_builtin_chips)  # the loader walks the table
  target_link_libraries(trireme_all INTERFACE trireme_builtin_chips)
endfunction()

# trireme_protobuf(<schema> <variable>): C++ code for trireme/<schema>, left under generated/; its sources in <variable>.
function(trireme_protobuf schema variable)
  string(REGEX REPLACE "\\.proto$" ".pb" path ${PROJECT_BINARY_DIR}/generated/trireme/${schema})
  get_filename_component(folder ${path} DIRECTORY)
  file(MAKE_DIRECTORY ${folder})
  add_custom_command(
    OUTPUT ${path}.cc ${path}.h
    COMMAND protobuf::protoc --proto_path=${PROJECT_SOURCE_DIR} --cpp_out=${PROJECT_BINARY_DIR}/generated
            trireme/${schema}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    DEPENDS ${PROJECT_SOURCE_DIR}/trireme/${schema}
    COMMENT "Generating C++ from trireme/${schema}" VERBATIM)
  set_source_files_properties(${path}.cc PROPERTIES COMPILE_OPTIONS -w)
  set(${variable} ${path}.cc ${path}.h PARENT_SCOPE)
endfunction()

# A table of a format that lies in pieces: each trireme/formats/<format>/<folder>/<family>.cc gives its entries by
# <family>_<name>(), a span of the <type> that <header> declares; all_<name>() is generated from the files.
function(trireme_format_table format folder name type header variable)
  file(GLOB files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/trireme/formats/${format}/${folder}/*.cc)
  set(declarations "")
  set(calls "")
  foreach(file ${files})
    get_filename_component(family ${file} NAME_WE)
    string(APPEND declarations "std::span<const ${type}> ${family}_${name}();\n")
    string(APPEND calls "      ${family}_${name}(),\n")
  endforeach()
  set(generated ${PROJECT_BINARY_DIR}/generated/${format}_${name}.cc)
  file(CONFIGURE OUTPUT ${generated} CONTENT
"// Generated from the files of trireme/formats/@format@/@folder@.
#include \"trireme/formats/@format@/@header@\"
namespace trireme::formats::@format@ {
@declarations@
std::vector<std::span<const @type@>> all_@name@() {
  return {
@calls@  };
}
}  // namespace trireme::formats::@format@
" @ONLY)
  set(${variable} ${generated} PARENT_SCOPE)
endfunction()

function(trireme_subdirectory folder)
  if(EXISTS ${PROJECT_SOURCE_DIR}/${folder}/CMakeLists.txt)
    add_subdirectory(${folder})
  endif()
endfunction()
