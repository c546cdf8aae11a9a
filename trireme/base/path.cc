#include "trireme/base/path.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace trireme {

std::string path_inside(const std::string& folder, const std::string& relative) {
  namespace fs = std::filesystem;
  const fs::path given(relative);
  if (relative.empty() || relative.find('\0') != std::string::npos || given.has_root_path()) return {};
  // Links are followed before the comparison, so that none leads out of the folder.
  std::error_code failed;
  const fs::path root = fs::weakly_canonical(fs::path(folder), failed);
  const fs::path path = failed ? fs::path() : fs::weakly_canonical(root / given, failed);
  if (failed) return {};
  const auto [inside, rest] = std::mismatch(root.begin(), root.end(), path.begin(), path.end());
  return inside == root.end() ? path.string() : std::string();
}

}  // namespace trireme
