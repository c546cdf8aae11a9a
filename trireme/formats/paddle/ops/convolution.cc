// Convolutions and their transposes.
#include "trireme/base/strings.h"
#include "trireme/formats/deformable.h"
#include "trireme/formats/paddle/call.h"
#include "trireme/formats/paddle/windows.h"

namespace trireme::formats::paddle {

namespace {

Value with_bias(Call& c, const Value& y) {
  if (!c.has("Bias")) return y;
  return y + broadcast(ops::along_axis(c.x("Bias"), 1, y.shape().rank()), y.shape());
}

// Passes of Paddle fuse an activation into the operator; programs saved for inference keep them apart.
void check_plain(Call& c) {
  if (c.flag("fuse_relu") || !c.string("fuse_activation", "").empty() || c.has("ResidualData")) {
    c.unsupported("an operator that a pass fused; use the program as it was saved");
  }
}

void check_ranks(Call& c, const Shape& x, const Shape& w) {
  c.require(x.rank() >= 3 && x.rank() <= 5 && w.rank() == x.rank(), cat("Input is ", x, ", Filter is ", w));
}

void conv(Call& c) {
  check_plain(c);
  const Channels channels(c, "data_format");
  const Value x = channels.first(c.x("Input")), w = c.x("Filter");
  check_ranks(c, x.shape(), w.shape());
  const Window window = window_of(c, x.shape(), Ints(w.shape().begin() + 2, w.shape().end()));
  const Ints one(window.kernel.size(), 1);
  const Value y =
      ops::convolution(x, w, window.strides, window.low, window.high, window.dilations, one, c.integer("groups", 1));
  c.result("Output", channels.back(with_bias(c, y)));
}

// Each element of x spreads the kernel over y: the convolution of x, dilated by the strides, with the turned kernel.
// Filter is [C, O / groups, spatial...]. What paddings cut, output_padding and output_size give back at the end.
void conv_transpose(Call& c) {
  check_plain(c);
  const Channels channels(c, "data_format");
  const Value x = channels.first(c.x("Input")), w = c.x("Filter");
  check_ranks(c, x.shape(), w.shape());
  const Window window = window_of(c, x.shape(), Ints(w.shape().begin() + 2, w.shape().end()));
  const size_t axes = window.kernel.size();
  const int64_t groups = c.integer("groups", 1);
  c.require(groups >= 1 && x.shape()[1] == w.shape()[0] && x.shape()[1] % groups == 0,
            cat("Input is ", x.shape(), ", Filter is ", w.shape(), ", groups is ", groups));
  const Ints wanted = c.sizes("OutputSizeTensor", "OutputSize", "output_size");
  const Ints extra = c.integers("output_padding");
  c.require(wanted.empty() || wanted.size() == axes, cat("output_size ", wanted, " for ", axes, " axes"));
  c.require(extra.empty() || extra.size() == axes, cat("output_padding ", extra, " for ", axes, " axes"));
  Ints low, high, spatial, begin(2, 0), end = {x.shape()[0], w.shape()[1] * groups}, steps(axes + 2, 1);
  for (size_t a = 0; a < axes; ++a) {
    const int64_t reach = bounded(Wide{window.kernel[a] - 1} * window.dilations[a]);
    const int64_t whole = bounded(Wide{x.shape()[static_cast<int>(a) + 2] - 1} * window.strides[a] + reach + 1);
    int64_t more = extra.empty() ? 0 : extra[a];
    const int64_t plain = whole - window.low[a] - window.high[a];
    if (!wanted.empty()) more = wanted[a] - plain;
    c.require(more >= 0 && more < window.strides[a] + reach + 1,
              cat("a size of ", plain + more, " for axis ", a, ", which gives ", plain));
    c.require(plain + more >= 1, cat("axis ", a, " would have size ", plain + more));
    // All of the kernel's places first, then the part that is wanted.
    low.push_back(reach);
    high.push_back(reach + std::max<int64_t>(0, more - window.high[a]));
    spatial.push_back(static_cast<int64_t>(a) + 2);
    begin.push_back(window.low[a]);
    end.push_back(window.low[a] + plain + more);
  }
  const int64_t inputs = w.shape()[0] / groups, outputs = w.shape()[1];
  Ints split = {groups, inputs, outputs}, joined = {groups * outputs, inputs};
  split.insert(split.end(), window.kernel.begin(), window.kernel.end());
  joined.insert(joined.end(), window.kernel.begin(), window.kernel.end());
  Ints order = ops::iota_axes(static_cast<int>(split.size()));
  std::swap(order[1], order[2]);
  const Value turned = ops::reshape(ops::transpose(ops::reshape(ops::reverse(w, spatial), split), order), joined);
  const Value y = ops::convolution(x, turned, Ints(axes, 1), low, high, window.dilations, window.strides, groups);
  c.result("Output", channels.back(with_bias(c, ops::slice(y, begin, end, steps))));
}

void deformable_conv(Call& c) {
  const Value x = c.x("Input"), w = c.x("Filter");
  check_ranks(c, x.shape(), w.shape());
  const Window window = window_of(c, x.shape(), Ints(w.shape().begin() + 2, w.shape().end()));
  c.result("Output", deformable_convolution(x, w, c.x("Offset"), c.maybe("Mask"),
                                            {window.strides, window.low, window.dilations, c.integer("groups", 1),
                                             c.integer("deformable_groups", 1)}));
}

}  // namespace

std::span<const Mapping> convolution_mappings() {
  static constexpr Mapping table[] = {
      {"conv2d", conv},
      {"conv2d_transpose", conv_transpose},
      {"conv3d", conv},
      {"conv3d_transpose", conv_transpose},
      {"deformable_conv", deformable_conv},
      {"deformable_conv_v1", deformable_conv},
      {"depthwise_conv2d", conv},
      {"depthwise_conv2d_transpose", conv_transpose},
  };
  return table;
}

}  // namespace trireme::formats::paddle
