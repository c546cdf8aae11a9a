// Positions in the row-major order of a tensor, for gathers and scatters that see it as one axis.
#pragma once

#include "trireme/ir/node.h"

namespace trireme::ops {

// What becomes of an index outside 0 .. size-1: the nearest one inside, or -1 for the whole position (which scatters
// ignore).
enum class OutOfRange : uint8_t { kClamp, kMinusOne };

// For indices along one axis, equal in the other sizes to `shape`: the position of each named element. i32 where the
// tensor is small enough for it, else i64.
Value flat_along_axis(const Shape& shape, const Value& indices, int64_t axis, OutOfRange rule);

// For coordinates [..., depth] of the first `depth` axes: the position of each named slice among all such slices.
Value flat_of_coordinates(const Shape& shape, const Value& coordinates, OutOfRange rule);

}  // namespace trireme::ops
