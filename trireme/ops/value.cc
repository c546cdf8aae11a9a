#include "trireme/ops/value.h"

#include <algorithm>
#include <limits>

#include "trireme/ir/op_decl.h"
#include "trireme/ops/ops.h"
#include "trireme/ops/rules.h"

namespace trireme {

namespace ops {

Value scalar(DType dtype, double value) { return constant(Literal::filled(dtype, Shape{}, value)); }

Value full(DType dtype, const Shape& shape, double value) { return broadcast_to(scalar(dtype, value), shape.vector()); }
Value full_like(const Value& like, double value) { return full(like.dtype(), like.shape(), value); }
Value zeros_like(const Value& like) { return full_like(like, 0.0); }

Value int_vector(const Ints& values) {
  const std::vector<int32_t> narrow(values.begin(), values.end());
  return constant(Literal::from(std::span<const int32_t>(narrow), Shape{static_cast<int64_t>(values.size())}));
}

Ints iota_axes(int rank) {
  Ints axes;
  for (int i = 0; i < rank; ++i) axes.push_back(i);
  return axes;
}

Value sum_to(const Value& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  const int extra = x.shape().rank() - shape.rank();
  Ints axes;
  for (int i = 0; i < x.shape().rank(); ++i) {
    if (i < extra || (shape[i - extra] == 1 && x.shape()[i] != 1)) axes.push_back(i);
  }
  const Value summed = axes.empty() ? x : reduce_sum(x, axes, false);
  return reshape(summed, shape.vector());
}

Ints normal_axes(const Ints& axes, int rank) {
  if (axes.empty()) return iota_axes(rank);
  Ints out;
  for (int64_t a : axes) out.push_back(a < 0 ? a + rank : a);
  std::sort(out.begin(), out.end());
  return out;
}

Value restore_axes(const Value& reduced, const Ints& axes, const Shape& full_shape) {
  auto sizes = full_shape.vector();
  for (int64_t a : normal_axes(axes, full_shape.rank())) sizes[static_cast<size_t>(a)] = 1;
  return broadcast_to(reshape(reduced, sizes), full_shape.vector());
}

Value slice_axis(const Value& x, int axis, int64_t begin, int64_t end) {
  const auto rank = static_cast<size_t>(x.shape().rank());
  Ints from(rank, 0), to = x.shape().vector();
  from[static_cast<size_t>(axis)] = begin;
  to[static_cast<size_t>(axis)] = end;
  return slice(x, from, to, Ints(rank, 1));
}

Value lowest_like(const Value& x) {
  return full_like(x, is_float(x.dtype()) ? -std::numeric_limits<double>::infinity() : lowest(x.dtype()));
}
Value highest_like(const Value& x) {
  return full_like(x, is_float(x.dtype()) ? std::numeric_limits<double>::infinity() : highest(x.dtype()));
}

Value in_range(const Value& x, const Value& indices, int64_t axis) {
  const int rank = x.shape().rank();
  const int at = static_cast<int>(normal_axis(axis, rank));
  const Value inside = and_(compare(indices, zeros_like(indices), "ge"),
                            compare(indices, full_like(indices, static_cast<double>(x.shape()[at])), "lt"));
  Ints full = x.shape().vector();
  full.erase(full.begin() + at);
  full.insert(full.begin() + at, indices.shape().begin(), indices.shape().end());
  Ints aligned = indices.shape().vector();
  aligned.insert(aligned.end(), static_cast<size_t>(rank - 1 - at), 1);
  return broadcast_to(reshape(inside, aligned), full);
}

Value gather_in_range(const Value& x, const Value& indices, int64_t axis) {
  const Value inside = in_range(x, indices, axis);
  const int at = static_cast<int>(normal_axis(axis, x.shape().rank()));
  if (x.shape()[at] == 0) return full(x.dtype(), inside.shape(), 0.0);
  const Value read = gather(x, indices, axis);
  return select(inside, read, zeros_like(read));
}

void share_of_extreme(Pullback& p, std::string_view kind) {
  const Value zero = zeros_like(p.y());
  const Value tie = select(compare(p.x(0), p.x(1), "eq"), p.dy() * 0.5, zero);
  p.dx(0) = select(compare(p.x(0), p.x(1), kind), p.dy(), tie);
  p.dx(1) = select(compare(p.x(1), p.x(0), kind), p.dy(), tie);
}

void share_of_reduced_extreme(Pullback& p) {
  const Value& x = p.x(0);
  const Ints& axes = p.integers("axes");
  const Value extreme = compare(x, restore_axes(p.y(), axes, x.shape()), "eq");
  const Value ties = reduce_sum(convert(extreme, x.dtype()), axes, p.flag("keepdims"));
  p.dx(0) = select(extreme, restore_axes(p.dy() / ties, axes, x.shape()), zeros_like(x));
}

}  // namespace ops

Value operator+(const Value& x, const Value& y) { return ops::add(x, y); }
Value operator-(const Value& x, const Value& y) { return ops::sub(x, y); }
Value operator*(const Value& x, const Value& y) { return ops::mul(x, y); }
Value operator/(const Value& x, const Value& y) { return ops::div(x, y); }
Value operator-(const Value& x) { return ops::neg(x); }
Value operator+(const Value& x, double y) { return ops::add(x, ops::scalar(x.dtype(), y)); }
Value operator-(const Value& x, double y) { return ops::sub(x, ops::scalar(x.dtype(), y)); }
Value operator*(const Value& x, double y) { return ops::mul(x, ops::scalar(x.dtype(), y)); }
Value operator/(const Value& x, double y) { return ops::div(x, ops::scalar(x.dtype(), y)); }
Value operator+(double x, const Value& y) { return ops::add(ops::scalar(y.dtype(), x), y); }
Value operator-(double x, const Value& y) { return ops::sub(ops::scalar(y.dtype(), x), y); }
Value operator*(double x, const Value& y) { return ops::mul(ops::scalar(y.dtype(), x), y); }
Value operator/(double x, const Value& y) { return ops::div(ops::scalar(y.dtype(), x), y); }

}  // namespace trireme
