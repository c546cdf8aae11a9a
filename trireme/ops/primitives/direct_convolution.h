// What the convolution primitives share: x [N, C, spatial...] and w [O, C/groups, kernel...] over 1 to 3 spatial axes,
// with a step, paddings and dilations of each axis.
#pragma once

#include "trireme/ops/numerics.h"
#include "trireme/ops/sizes.h"

namespace trireme {

inline constexpr std::string_view kDirectRanks = "x and w have the same rank, 3 to 5";
inline constexpr std::string_view kDirectLists =
    "strides, low, high, dilation and input_dilation have one entry per spatial axis";
inline constexpr std::string_view kDirectSteps = "strides and dilations are 1 or more, low and high 0 or more";
inline constexpr std::string_view kDirectGroups = "groups is 1 or more, C = groups w.shape[1], and groups divides O";
inline constexpr std::string_view kDirectFits =
    "spatial sizes are 1 or more and the dilated kernel fits into the padded image";

// Elements from the first to the last of `count` elements that lie `step` apart.
inline int64_t extent(int64_t count, int64_t step) { return count == 0 ? 0 : bounded(Wide{count - 1} * step + 1); }

inline Ints joined(Ints front, const Ints& back) {
  front.insert(front.end(), back.begin(), back.end());
  return front;
}
// Rules 1-5, in the order above.
inline void infer_direct_convolution(Infer& i, DType result) {
  i.require(1, i.rank(0) == i.rank(1) && i.rank(0) >= 3 && i.rank(0) <= 5);
  const auto axes = static_cast<size_t>(i.rank(0) - 2);
  const Ints &stride = i.integers("strides"), &low = i.integers("low"), &high = i.integers("high"),
             &dilation = i.integers("dilation"), &input_dilation = i.integers("input_dilation");
  for (const Ints* list : {&stride, &low, &high, &dilation, &input_dilation}) i.require(2, list->size() == axes);
  const int64_t groups = i.integer("groups");
  i.require(4, groups >= 1 && i.shape(0)[1] == bounded(Wide{i.shape(1)[1]} * groups) && i.shape(1)[0] % groups == 0);
  Ints sizes = {i.shape(0)[0], i.shape(1)[0]};
  for (size_t a = 0; a < axes; ++a) {
    i.require(3, stride[a] >= 1 && dilation[a] >= 1 && input_dilation[a] >= 1 && low[a] >= 0 && high[a] >= 0);
    const int64_t image = i.shape(0)[static_cast<int>(a) + 2], kernel = i.shape(1)[static_cast<int>(a) + 2];
    const int64_t room =
        bounded(Wide{extent(image, input_dilation[a])} + low[a] + high[a] - extent(kernel, dilation[a]));
    i.require(5, image >= 1 && kernel >= 1 && room >= 0, "pad the image, or use a smaller kernel");
    sizes.push_back(room / stride[a] + 1);
  }
  i.output(result, sizes);
}

// Integers wrap; `x_zero_point` is taken off their x, and what pads it is then 0.
inline void evaluate_direct_convolution(Evaluation& e, int64_t x_zero_point) {
  const Evaluated &x = e.x(0), &w = e.x(1);
  Evaluated& y = e.y();
  const Ints &stride = e.integers("strides"), &low = e.integers("low"), &dilation = e.integers("dilation"),
             &input_dilation = e.integers("input_dilation");
  const int64_t inputs = w.shape()[1], outputs = w.shape()[0] / e.integer("groups");
  const Strides x_strides = dense_strides(x.shape());
  const Shape kernel(joined({inputs}, Ints(w.shape().begin() + 2, w.shape().end())));
  const auto run = [&]<class T>(const std::vector<T>& image, const std::vector<T>& weights, std::vector<T>& result) {
    const T zero = static_cast<T>(x_zero_point);
    for_each_index(y.shape(), [&](int64_t at, const int64_t* index) {
      T sum{0};
      for_each_index(kernel, [&](int64_t tap, const int64_t* offset) {
        const int64_t channel = index[1] / outputs * inputs + offset[0];
        int64_t source = index[0] * x_strides[0] + channel * x_strides[1];
        for (size_t a = 0; a < stride.size(); ++a) {
          const int64_t place = index[a + 2] * stride[a] + offset[a + 1] * dilation[a] - low[a];
          if (place < 0 || place % input_dilation[a] != 0) return;
          if (place / input_dilation[a] >= x.shape()[static_cast<int>(a) + 2]) return;
          source += place / input_dilation[a] * x_strides[a + 2];
        }
        const T product = wrapping([](auto a, auto b) { return a * b; }, image[static_cast<size_t>(source)] - zero,
                                   weights[static_cast<size_t>(index[1] * kernel.elements() + tap)]);
        sum = wrapping([](auto a, auto b) { return a + b; }, sum, product);
      });
      result[static_cast<size_t>(at)] = sum;
    });
  };
  if (x.floating()) return run(x.real, w.real, y.real);
  run(x.integer, w.integer, y.integer);
  y.round();
}

// Sizes and numbers along the spatial axes of one convolution, each of length 1 .. 3.
struct ConvolutionPlan {
  Ints image, kernel, result, stride, low, high, dilation, input_dilation;
  int64_t batch, channels, filters, groups;
  explicit ConvolutionPlan(const OpView& v)
      : stride(v.integers("strides")),
        low(v.integers("low")),
        high(v.integers("high")),
        dilation(v.integers("dilation")),
        input_dilation(v.integers("input_dilation")),
        batch(v.x(0).shape()[0]),
        channels(v.x(0).shape()[1]),
        filters(v.x(1).shape()[0]),
        groups(v.integer("groups")) {
    for (int a = 2; a < v.x(0).shape().rank(); ++a) {
      image.push_back(v.x(0).shape()[a]);
      kernel.push_back(v.x(1).shape()[a]);
      result.push_back(v.y().shape()[a]);
    }
  }
  size_t axes() const { return image.size(); }
};

// The order that swaps axes `a` and `b`, leaving the others.
inline Ints swapped(int rank, size_t a, size_t b) {
  Ints order = ops::iota_axes(rank);
  std::swap(order[a], order[b]);
  return order;
}

// One strided view of the padded image per kernel element, side by side: columns [groups, C/groups K, N M] with K
// kernel and M result elements; then w as [groups, O/groups, C/groups K] times the columns.
inline Value convolution_by_columns(const OpView& d, const Value& x, const Value& w) {
  const ConvolutionPlan p(d);
  Ints low = joined({0, 0}, p.low), high = joined({0, 0}, p.high), interior = {0, 0};
  for (int64_t step : p.input_dilation) interior.push_back(step - 1);
  const Value padded = ops::pad(x, low, high, interior, 0.0);
  std::vector<Value> taps;
  for_each_index(Shape(p.kernel), [&](int64_t, const int64_t* offset) {
    Ints begin(p.axes() + 2, 0), end = {p.batch, p.channels}, step = {1, 1};
    for (size_t a = 0; a < p.axes(); ++a) {
      begin[a + 2] = offset[a] * p.dilation[a];
      end.push_back(begin[a + 2] + extent(p.result[a], p.stride[a]));
      step.push_back(p.stride[a]);
    }
    const Value view = ops::transpose(ops::slice(padded, begin, end, step), swapped(padded.shape().rank(), 0, 1));
    taps.push_back(ops::reshape(view, joined({p.channels, 1, p.batch}, p.result)));
  });
  const int64_t places = p.batch * Shape(p.result).elements();
  const int64_t inner = p.channels / p.groups * static_cast<int64_t>(taps.size());
  const Value columns = ops::reshape(ops::concat(taps, 1), {p.groups, inner, places});
  const Value weights = ops::reshape(w, {p.groups, p.filters / p.groups, inner});
  const Value product = ops::reshape(ops::dot_general(weights, columns), joined({p.filters, p.batch}, p.result));
  return ops::transpose(product, swapped(padded.shape().rank(), 0, 1));
}

}  // namespace trireme
