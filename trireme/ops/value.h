// Arithmetic on Values for the rules of ops: what + - * / mean in a decomposition or a gradient.
#pragma once

#include "trireme/ir/graph.h"
#include "trireme/ir/node.h"

namespace trireme {

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
