#include "trireme/ops/value.h"

#include <algorithm>

#include "trireme/ops/ops.h"

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
