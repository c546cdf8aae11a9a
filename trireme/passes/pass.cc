#include "trireme/passes/pass.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "trireme/base/strings.h"

namespace trireme::passes {

bool enabled(std::string_view pass) {
  static const std::vector<std::string> off = [] {
    const char* given = std::getenv("TRIREME_PASSES_OFF");
    return given != nullptr ? split(given, ',') : std::vector<std::string>{};
  }();
  return std::find(off.begin(), off.end(), pass) == off.end();
}

}  // namespace trireme::passes
