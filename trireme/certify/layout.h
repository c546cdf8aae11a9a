// How the inputs of a case lie in memory: what the op sees stays a dense literal, the bytes behind it may be
// transposed, repeated or reversed. Views never reach a chip as ops, so this is how it meets them.
#pragma once

#include <map>
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
  // Of a tensor that lies in more memory than is worth filling: how many bytes, and those that count, by their place.
  uint64_t reach = 0;
  std::map<uint64_t, std::vector<char>> pieces{};
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
// The first axis longer than 1 in steps so wide that its end lies behind 2^32 bytes. A kernel that keeps offsets in 32
// bits, counted in bytes or (for types of one byte) in elements, reads elsewhere.
Layout far_apart(const Literal& values);
// The same, the last axis repeated.
Layout far_apart_repeated(const Literal& values);

struct NamedLayout {
  std::string_view name;
  LayOut lay_out;
};
// Dense first.
std::span<const NamedLayout> all_layouts();
// far_apart, far_apart_repeated: not among all_layouts, because they take gigabytes of device memory (of which little
// is touched).
std::span<const NamedLayout> far_layouts();

}  // namespace trireme::certify
