#include "trireme/base/error.h"

#include <algorithm>
#include <vector>

#include "trireme/base/strings.h"

namespace trireme {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::kInvalidArgument: return "invalid_argument";
    case Code::kNotFound: return "not_found";
    case Code::kUnsupported: return "unsupported";
    case Code::kOutOfMemory: return "out_of_memory";
    case Code::kDeviceFault: return "device_fault";
    case Code::kDataLoss: return "data_loss";
    case Code::kIo: return "io";
    case Code::kTimeout: return "timeout";
    case Code::kInterrupted: return "interrupted";
    case Code::kInternal: return "internal";
  }
  return "internal";
}

void internal_error(const char* file, int line, const char* condition, const std::string& what) {
  throw Error(Code::kInternal, cat("bug in Trireme: ", what, " (", condition, " is false at ", file, ":", line,
                                   "); please report it with the command that led here"));
}

int edit_distance(std::string_view a, std::string_view b) {
  std::vector<int> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    int diagonal = row[0];
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace trireme
