// What the convolutions of users share: [N, C, spatial...] inputs, symmetric padding, one entry or one per spatial
// axis.
#pragma once

#include "trireme/ops/convolution/spatial_lists.h"
#include "trireme/ops/numerics.h"
#include "trireme/ops/sizes.h"

namespace trireme {

inline constexpr std::string_view kConvolutionRanks =
    "x is [N, C, spatial...] and weight [O, C/groups, kernel...], of the op's rank";
inline constexpr std::string_view kConvolutionLists =
    "stride, padding and dilation have one entry or one per spatial axis; stride and dilation are 1 or more, padding "
    "is "
    "not negative";
inline constexpr std::string_view kConvolutionGroups = "groups is 1 or more and divides the channels of x and of y";
inline constexpr std::string_view kConvolutionChannels = "axis 1 of weight has C/groups elements";
inline constexpr std::string_view kConvolutionFits =
    "x and the kernel are not empty, and the dilated kernel fits into the padded x";
inline constexpr std::string_view kConvolutionBias = "bias has shape [O]";

// Rules 1-6, in the order above.
inline void infer_convolution(Infer& i, int spatial) {
  i.require(1, i.rank(0) == spatial + 2 && i.rank(1) == spatial + 2);
  const Ints &stride = i.integers("stride"), &padding = i.integers("padding"), &dilation = i.integers("dilation");
  i.require(2,
            is_per_axis(stride, spatial, 1) && is_per_axis(padding, spatial, 0) && is_per_axis(dilation, spatial, 1));
  const int64_t groups = i.integer("groups"), channels = i.shape(0)[1], outputs = i.shape(1)[0];
  i.require(3, groups >= 1 && channels % groups == 0 && outputs % groups == 0);
  i.require(4, i.shape(1)[1] == channels / groups);
  Ints sizes = {i.shape(0)[0], outputs};
  for (int a = 0; a < spatial; ++a) {
    const auto at = static_cast<size_t>(a);
    const int64_t kernel = i.shape(1)[a + 2];
    const Wide covered = Wide{per_axis(dilation, spatial)[at]} * (kernel - 1) + 1;
    const int64_t room = bounded(i.shape(0)[a + 2] + 2 * Wide{per_axis(padding, spatial)[at]} - covered);
    i.require(5, i.shape(0)[a + 2] >= 1 && kernel >= 1 && room >= 0);
    sizes.push_back(room / per_axis(stride, spatial)[at] + 1);
  }
  i.require(6, !i.has(2) || i.shape(2) == Shape{outputs});
  i.output(i.dtype(0), sizes);
}

inline Value add_channel_bias(const Value& y, const Value& bias) {
  return bias ? y + ops::along_axis(bias, 1, y.shape().rank()) : y;
}

inline Values decompose_convolution(const Decompose& d, int spatial) {
  const Ints padding = per_axis(d.integers("padding"), spatial), none(static_cast<size_t>(spatial), 1);
  const Value y = ops::convolution(d.x(0), d.x(1), per_axis(d.integers("stride"), spatial), padding, padding,
                                   per_axis(d.integers("dilation"), spatial), none, d.integer("groups"));
  return add_channel_bias(y, d.has(2) ? d.x(2) : Value());
}

inline constexpr std::string_view kTransposedRanks =
    "x is [N, C, spatial...] and weight [C, O/groups, kernel...], of the op's rank";
inline constexpr std::string_view kTransposedLists =
    "stride, padding, output_padding and dilation have one entry or one per spatial axis; stride and dilation are 1 or "
    "more, padding and output_padding are not negative";
inline constexpr std::string_view kTransposedGroups = "groups is 1 or more and divides C";
inline constexpr std::string_view kTransposedChannels = "axis 0 of weight has C elements";
inline constexpr std::string_view kTransposedSizes =
    "x and the kernel are not empty, and y = (x-1)*stride - 2*padding + dilation*(kernel-1) + output_padding + 1 is at "
    "least 1";
inline constexpr std::string_view kTransposedOutputPadding = "output_padding is less than stride or dilation";

// Rules 1-6 in the order above; rule 7: bias has shape [O].
inline void infer_transposed(Infer& i, int spatial) {
  i.require(1, i.rank(0) == spatial + 2 && i.rank(1) == spatial + 2);
  const Ints &stride = i.integers("stride"), &padding = i.integers("padding"), &dilation = i.integers("dilation");
  const Ints& extra = i.integers("output_padding");
  i.require(2, is_per_axis(stride, spatial, 1) && is_per_axis(padding, spatial, 0) &&
                   is_per_axis(dilation, spatial, 1) && is_per_axis(extra, spatial, 0));
  const int64_t groups = i.integer("groups"), channels = i.shape(0)[1];
  i.require(3, groups >= 1 && channels % groups == 0);
  i.require(4, i.shape(1)[0] == channels);
  Ints sizes = {i.shape(0)[0], bounded(Wide{i.shape(1)[1]} * groups)};
  for (int a = 0; a < spatial; ++a) {
    const auto at = static_cast<size_t>(a);
    const int64_t kernel = i.shape(1)[a + 2], size = i.shape(0)[a + 2];
    const int64_t step = per_axis(stride, spatial)[at], hole = per_axis(dilation, spatial)[at];
    const int64_t more = per_axis(extra, spatial)[at];
    const int64_t result = bounded(Wide{size - 1} * step - 2 * Wide{per_axis(padding, spatial)[at]} +
                                   Wide{hole} * (kernel - 1) + more + 1);
    i.require(5, size >= 1 && kernel >= 1 && result >= 1);
    i.require(6, more < std::max(step, hole));
    sizes.push_back(result);
  }
  i.require(7, !i.has(2) || i.shape(2) == Shape{sizes[1]});
  i.output(i.dtype(0), sizes);
}

// The gradient of a convolution with respect to its input: x with stride-1 holes, the kernel turned around and its
// channel axes exchanged within each group.
inline Values decompose_transposed(const Decompose& d, int spatial) {
  const Shape &x = d.x(0).shape(), &weight = d.x(1).shape();
  const int64_t groups = d.integer("groups"), inputs = x[1] / groups, outputs = weight[1];
  const Ints padding = per_axis(d.integers("padding"), spatial), dilation = per_axis(d.integers("dilation"), spatial);
  const Ints extra = per_axis(d.integers("output_padding"), spatial), ones(static_cast<size_t>(spatial), 1);

  Ints split = {groups, inputs, outputs}, order = {0, 2, 1}, merged = {groups * outputs, inputs}, spatial_axes;
  for (int a = 0; a < spatial; ++a) {
    split.push_back(weight[a + 2]);
    merged.push_back(weight[a + 2]);
    order.push_back(a + 3);
    spatial_axes.push_back(a + 2);
  }
  const Value kernel =
      ops::reverse(ops::reshape(ops::transpose(ops::reshape(d.x(1), split), order), merged), spatial_axes);

  // Padding beyond the kernel's reach cuts the result instead.
  Ints low, high, begin = {0, 0}, end = {x[0], groups * outputs}, step(static_cast<size_t>(spatial) + 2, 1);
  bool cut = false;
  for (size_t a = 0; a < ones.size(); ++a) {
    const int64_t reach = dilation[a] * (weight[static_cast<int>(a) + 2] - 1) - padding[a];
    low.push_back(std::max<int64_t>(reach, 0));
    high.push_back(std::max<int64_t>(reach + extra[a], 0));
    begin.push_back(std::max<int64_t>(-reach, 0));
    end.push_back(begin.back() + d.y().shape()[static_cast<int>(a) + 2]);
    cut = cut || reach < 0;
  }
  Value y =
      ops::convolution(d.x(0), kernel, ones, low, high, dilation, per_axis(d.integers("stride"), spatial), groups);
  if (cut) y = ops::slice(y, begin, end, step);
  return add_channel_bias(y, d.has(2) ? d.x(2) : Value());
}

}  // namespace trireme
