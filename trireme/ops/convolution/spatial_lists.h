// Attributes with one entry per spatial axis, or one for all of them.
#pragma once

#include "trireme/ir/attribute.h"

namespace trireme {

// One entry counts for all spatial axes.
inline Ints per_axis(const Ints& given, int spatial) {
  return given.size() == 1 ? Ints(static_cast<size_t>(spatial), given[0]) : given;
}
inline bool is_per_axis(const Ints& given, int spatial, int64_t least) {
  if (given.size() != 1 && given.size() != static_cast<size_t>(spatial)) return false;
  for (int64_t n : given) {
    if (n < least) return false;
  }
  return true;
}

}  // namespace trireme
