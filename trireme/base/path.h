// Paths that come out of files somebody else wrote.
#pragma once

#include <string>

namespace trireme {

// folder/relative when it lies in the folder once links are followed, else empty. It need not exist.
std::string path_inside(const std::string& folder, const std::string& relative);

}  // namespace trireme
