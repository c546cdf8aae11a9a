// How the inputs of a case lie in memory: what the op sees stays a dense literal, the bytes behind it may be
// transposed, repeated or reversed. Views never reach a chip as ops, so this is how it meets them.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "trireme/core/literal.h"

namespace trireme::certify {

struct Layout {
  Literal values;  // what the op sees, dense
  Strides strides{};
  std::vector<char> memory;
  size_t origin = 0;  // byte of element [0, 0, ...] in memory
};

using LayOut = Layout (*)(const Literal&);
Layout dense(const Literal& values);
// First axis innermost.
Layout column_major(const Literal& values);
// The first slice along axis 0, or along the last axis, for all of the axis: stride 0.
Layout broadcast_first(const Literal& values);
Layout broadcast_last(const Literal& values);
// Every axis backwards: negative strides.
Layout reversed(const Literal& values);

struct NamedLayout {
  std::string_view name;
  LayOut lay_out;
};
// Dense first.
std::span<const NamedLayout> all_layouts();

}  // namespace trireme::certify
