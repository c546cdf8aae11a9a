#include "trireme/data/find.h"

#include <algorithm>
#include <filesystem>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"

namespace trireme::data {

std::vector<std::string> data_folders() {
  namespace fs = std::filesystem;
  std::vector<std::string> out;
  if (const std::string named = environment("TRIREME_DATA"); !named.empty()) out.push_back(named);
  std::error_code unknown;
  for (fs::path start : {fs::current_path(unknown), fs::read_symlink("/proc/self/exe", unknown).parent_path()}) {
    for (fs::path folder = start; !folder.empty(); folder = folder.parent_path()) {
      const std::string candidate = (folder / "shared" / "data").string();
      if (fs::is_directory(candidate, unknown) && std::find(out.begin(), out.end(), candidate) == out.end()) {
        out.push_back(candidate);
      }
      if (folder == folder.root_path()) break;
    }
  }
  return out;
}

std::string look_for_data(const std::string& relative) {
  for (const std::string& folder : data_folders()) {
    const std::string path = folder + "/" + relative;
    if (file_exists(path)) return path;
  }
  return {};
}

std::string find_data(const std::string& relative) {
  const std::string path = look_for_data(relative);
  if (!path.empty()) return path;
  const std::vector<std::string> folders = data_folders();
  throw Error(
      Code::kNotFound,
      cat("no '", relative, "' in ", folders.empty() ? "any folder" : join(folders, ", "), " (searched: $TRIREME_DATA",
          environment("TRIREME_DATA").empty() ? ", which is not set" : "",
          ", and shared/data beside or above the current folder and the program); set TRIREME_DATA to the folder"
          " that holds it"));
}

}  // namespace trireme::data
