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

}  // namespace trireme
