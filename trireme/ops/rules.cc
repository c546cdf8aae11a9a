#include "trireme/ops/rules.h"

#include <algorithm>

namespace trireme {

Shape reduced_shape(const Infer& i) {
  const auto axes = i.axes(1, i.integers("axes"), i.rank(0));
  auto sizes = i.shape(0).vector();
  if (i.flag("keepdims")) {
    for (int a : axes) sizes[static_cast<size_t>(a)] = 1;
    return sizes;
  }
  for (auto a = axes.rbegin(); a != axes.rend(); ++a) sizes.erase(sizes.begin() + *a);
  return sizes;
}

AroundAxis around_axis(const Shape& shape, int64_t axis) {
  AroundAxis out;
  const int64_t at = normal_axis(axis, shape.rank());
  for (int a = 0; a < shape.rank(); ++a) (a < at ? out.outer : a == at ? out.size : out.inner) *= shape[a];
  return out;
}

void infer_scatter(Infer& i) {
  const int axis = i.axis(1, i.integer("axis"), i.rank(0));
  auto sizes = i.shape(0).vector();
  sizes.erase(sizes.begin() + axis);
  sizes.insert(sizes.begin() + axis, i.shape(1).begin(), i.shape(1).end());
  i.require(2, sizes == i.shape(2).vector());
  i.output(i.dtype(0), i.shape(0));
}

void infer_arg_extreme(Infer& i) {
  const int axis = i.axis(1, i.integer("axis"), i.rank(0));
  i.require(2, i.shape(0)[axis] > 0);
  i.output(i32, i.flag("keepdims") ? i.shape(0).with(axis, 1) : i.shape(0).without(axis));
}

int64_t clamped_offset(const Evaluated& start, const Shape& shape, const Shape& box) {
  const Strides strides = dense_strides(shape);
  int64_t offset = 0;
  for (int a = 0; a < shape.rank(); ++a) {
    const int64_t last = shape[a] - box[a];
    offset += std::clamp<int64_t>(start.integer[static_cast<size_t>(a)], 0, last) * strides[static_cast<size_t>(a)];
  }
  return offset;
}

void evaluate_copy(Evaluation& e) {
  e.y().real = e.x(0).real;
  e.y().integer = e.x(0).integer;
}

void copy_strided(Evaluated& y, const Evaluated& x, int64_t offset, const Strides& strides) {
  for_each_index(y.shape(), [&](int64_t at, const int64_t* index) {
    int64_t from = offset;
    for (int a = 0; a < y.shape().rank(); ++a) from += index[a] * strides[static_cast<size_t>(a)];
    y.copy_element(at, x, from);
  });
}

void fill_with(Evaluated& y, double value) {
  const Literal one = Literal::filled(y.type.dtype, {}, value);
  Evaluated wide({y.floating() ? f64 : i64, {}});
  if (wide.floating()) convert_elements(y.type.dtype, one.data(), f64, wide.real.data(), 1);
  else convert_elements(y.type.dtype, one.data(), i64, wide.integer.data(), 1);
  for (int64_t i = 0; i < y.elements(); ++i) y.copy_element(i, wide, 0);
}

}  // namespace trireme
