// Sizes computed from attributes, which may be any number: exact in 128 bits, then cut off far beyond what a shape can
// hold, so that Shape refuses the result instead of an overflow making it look harmless.
#pragma once

#include <algorithm>
#include <cstdint>

namespace trireme {

__extension__ typedef __int128 Wide;

constexpr int64_t bounded(Wide size) {
  constexpr Wide most = Wide{1} << 60;
  return static_cast<int64_t>(std::clamp(size, -most, most));
}

}  // namespace trireme
