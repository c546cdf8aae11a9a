// Arithmetic on Values for the rules of ops: what + - * / mean in a decomposition or a gradient.
#pragma once

#include <string_view>

#include "trireme/ir/graph.h"
#include "trireme/ir/node.h"

namespace trireme {

class Pullback;

namespace ops {

// A rank-0 constant.
Value scalar(DType dtype, double value);
// Shape and type of `like`, every element `value`; a broadcast constant, no memory.
Value full_like(const Value& like, double value);
Value zeros_like(const Value& like);
Value full(DType dtype, const Shape& shape, double value);
// A rank-1 i32 constant.
Value int_vector(const Ints& values);
// The axes 0 .. rank-1.
Ints iota_axes(int rank);
// Sums `x` over the axes that broadcasting added or stretched, back to `shape`.
Value sum_to(const Value& x, const Shape& shape);
// x with a size-1 axis inserted at each axis of `axes` that a reduction without keepdims removed.
Value restore_axes(const Value& reduced, const Ints& axes, const Shape& full_shape);
// Axes counted from the front, sorted; empty means all.
Ints normal_axes(const Ints& axes, int rank);
// x[..., begin:end, ...] along one axis.
Value slice_axis(const Value& x, int axis, int64_t begin, int64_t end);
// The identities of max and min in a type: -inf and +inf, or the lowest and highest integer.
Value lowest_like(const Value& x);
Value highest_like(const Value& x);

// True where an index is within 0 .. size-1 of the axis, in the shape of gather(x, indices, axis).
Value in_range(const Value& x, const Value& indices, int64_t axis);
// gather, with 0 where the index is out of range: the transposed scatter_add.
Value gather_in_range(const Value& x, const Value& indices, int64_t axis);

// Pullbacks of max and min (kind "gt", "lt") and of reduce_max and reduce_min: the gradient goes to the extreme element
// and is shared equally among ties.
void share_of_extreme(Pullback& p, std::string_view kind);
void share_of_reduced_extreme(Pullback& p);

}  // namespace ops

Value operator+(const Value& x, const Value& y);
Value operator-(const Value& x, const Value& y);
Value operator*(const Value& x, const Value& y);
Value operator/(const Value& x, const Value& y);
Value operator-(const Value& x);
Value operator+(const Value& x, double y);
Value operator-(const Value& x, double y);
Value operator*(const Value& x, double y);
Value operator/(const Value& x, double y);
Value operator+(double x, const Value& y);
Value operator-(double x, const Value& y);
Value operator*(double x, const Value& y);
Value operator/(double x, const Value& y);

}  // namespace trireme
