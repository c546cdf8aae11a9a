// Arithmetic on Values for the rules of ops: what + - * / mean in a decomposition or a gradient.
#pragma once

#include <initializer_list>
#include <string_view>

#include "trireme/ir/graph.h"
#include "trireme/ir/node.h"

namespace trireme {

class OpView;
class Pullback;

namespace ops {

// A rank-0 constant.
Value scalar(DType dtype, double value);
// Every element `value`: a broadcast constant, no memory. (The ops full, full_like, ... make nodes of their own.)
Value filled(DType dtype, const Shape& shape, double value);
Value filled_like(const Value& like, double value);
// A number in the place of a Value takes the type and shape of the other.
Value max(const Value& x, double y);
Value min(const Value& x, double y);
Value compare(const Value& x, double y, std::string_view kind);
Value select(const Value& condition, const Value& x, double y);
Value select(const Value& condition, double x, const Value& y);
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

// sum_k coefficients[k] x^k, by Horner's rule.
Value polynomial(const Value& x, std::initializer_list<double> coefficients);
// A scalar of an unsigned type, cut to its bits; a double could not hold 64 of them.
Value bit_pattern(DType dtype, uint64_t bits);
// The unsigned integer type of the same size.
DType unsigned_type(DType integer);
// For shifting by `amount`: 2^amount in `type`, and where 0 <= amount < bits of the type.
struct ShiftFactor {
  Value power, inside;
};
ShiftFactor shift_factor(const Value& amount, DType type);

// For elements indices[r, i] of the rows of a [rows, size] tensor: their positions in row-major order, in one rank-1
// tensor. `indices` has the rows' axes and then one more.
Value positions_in_rows(const Value& indices, int64_t size);
// One element per index of gather(x, indices, axis), repeated to the shape of its result.
Value over_slices(const Value& per_index, const Shape& x, int64_t axis);
// True where an index is within 0 .. size-1 of the axis, in the shape of gather(x, indices, axis).
Value in_range(const Value& x, const Value& indices, int64_t axis);
// gather, with 0 where the index is out of range: the transposed scatter_add.
Value gather_in_range(const Value& x, const Value& indices, int64_t axis);

// Along an axis, the index (i32) of the first element of x that equals `extreme`, or of the first NaN.
Value first_equal(const Value& x, const Value& extreme, int64_t axis, bool keepdims);
// start[axis] as a rank-1 tensor of one element, clamped to 0 .. last.
Value clamped_start(const Value& start, int axis, int64_t last);
// For a scatter (x, indices, updates; axis): [outer, count, size, inner], for each place along the axis every update
// that goes there, else `identity`. Memory grows with count times the size of x, for small tensors only.
Value scatter_candidates(const OpView& scatter, const Value& identity);

// Pullbacks of max and min (kind "gt", "lt"), of reduce_max and reduce_min, of scatter_max and scatter_min: the
// gradient goes to the extreme element and is shared equally among ties.
void share_of_extreme(Pullback& p, std::string_view kind);
void share_of_reduced_extreme(Pullback& p);
void share_of_scattered_extreme(Pullback& p);
// Of steps such as floor: the derivative is 0 wherever there is one.
inline void zero_gradient(Pullback&) {}

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
