#include "trireme/certify/level.h"

#include <array>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::certify {
namespace {
constexpr std::array<std::string_view, 5> kLevels = {"none", "boots", "trains", "complete", "engine"};
}  // namespace

std::string_view name(Part part) {
  constexpr std::string_view names[] = {"C0", "C1", "C2", "C3", "C4", "C6", "C7", "C8"};
  return names[static_cast<size_t>(part)];
}

std::string_view name(Level level) { return kLevels[static_cast<size_t>(level)]; }

Level parse_level(std::string_view word) {
  for (size_t i = 1; i < kLevels.size(); ++i) {
    if (kLevels[i] == word) return static_cast<Level>(i);
  }
  if (word == "scales") {
    throw Error(Code::kUnsupported,
                "the level \"scales\" is not offered: it certifies the communication bank, which this host does not "
                "drive yet; ask for boots, trains, complete or engine");
  }
  const std::string near = nearest_name(word, kLevels);
  throw Error(Code::kInvalidArgument, cat("there is no level \"", word, "\"; ",
                                          near.empty() ? std::string("there are boots, trains, complete and engine")
                                                       : cat("did you mean \"", near, "\"?")));
}

OpenChip& Subject::open() const {
  static OpenChip* opened = new OpenChip(chip);  // closed by nobody: the process ends with its cases
  return *opened;
}

}  // namespace trireme::certify
