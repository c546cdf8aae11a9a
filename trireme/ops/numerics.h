// What composites share to stay accurate: statistics of 16-bit floats are computed in f32.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "trireme/ops/ops.h"
#include "trireme/ops/rules.h"
#include "trireme/ops/value.h"

namespace trireme::ops {

// The type statistics are computed in: f32 for f16 and bf16, else the type itself.
inline DType wide_type(DType t) { return t == f16 || t == bf16 ? f32 : t; }
inline Value as_type(const Value& x, DType t) { return x.dtype() == t ? x : convert(x, t); }
inline Value widen(const Value& x) { return as_type(x, wide_type(x.dtype())); }

// The axes first .. rank-1, and all axes but one.
inline Ints axes_from(int first, int rank) {
  Ints axes;
  for (int a = first; a < rank; ++a) axes.push_back(a);
  return axes;
}
inline Ints axes_but(int64_t kept, int rank) {
  Ints axes;
  for (int a = 0; a < rank; ++a) {
    if (a != kept) axes.push_back(a);
  }
  return axes;
}

// Number of elements that a reduction over `axes` folds into one.
inline double folded(const Value& x, const Ints& axes) {
  double count = 1.0;
  for (int64_t a : axes) count *= static_cast<double>(x.shape()[static_cast<int>(a)]);
  return count;
}
// Sum and mean over axes, which stay with size 1.
inline Value sum_kept(const Value& x, const Ints& axes) { return axes.empty() ? x : reduce_sum(x, axes, true); }
inline Value mean_kept(const Value& x, const Ints& axes) { return sum_kept(x, axes) * (1.0 / folded(x, axes)); }

// A vector of C elements seen as [1, C, 1, ...] for a tensor of the given rank whose axis `axis` has C elements.
inline Value along_axis(const Value& vector, int64_t axis, int rank) {
  Ints sizes(static_cast<size_t>(rank), 1);
  sizes[static_cast<size_t>(axis)] = vector.shape().elements();
  return reshape(vector, sizes);
}

// A rank-1 constant of a floating type.
inline Value float_vector(DType dtype, const std::vector<double>& values) {
  return constant(Literal::from_doubles(dtype, Shape{static_cast<int64_t>(values.size())}, values));
}

// The order that moves one axis to the end, and the order that undoes it.
inline Ints axis_to_end(int64_t axis, int rank) {
  Ints order = axes_but(axis, rank);
  order.push_back(axis);
  return order;
}
inline Ints inverse_order(const Ints& order) {
  Ints inverse(order.size());
  for (size_t i = 0; i < order.size(); ++i) inverse[static_cast<size_t>(order[i])] = static_cast<int64_t>(i);
  return inverse;
}

}  // namespace trireme::ops
