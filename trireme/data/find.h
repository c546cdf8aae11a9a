// Where data sets lie on this machine.
#pragma once

#include <string>
#include <vector>

namespace trireme::data {

// The folders that are searched, in order: $TRIREME_DATA; then shared/data beside or above the current folder and
// beside or above the program.
std::vector<std::string> data_folders();

// Full path of `relative` ("datasets/iris/Iris.csv") in the first of those folders that has it. kNotFound otherwise,
// with the list of places.
std::string find_data(const std::string& relative);
// The same, but empty when it is nowhere.
std::string look_for_data(const std::string& relative);

}  // namespace trireme::data
