// Matrix products, convolutions and pools.
#include <algorithm>

#include "trireme/formats/onnx/emit.h"
#include "trireme/ops/declare.h"

namespace trireme::formats::onnx {

namespace {

bool matmul(Emit& e) {
  if (e.shape(0).elements() == 0 || e.shape(1).elements() == 0) {  // sums of nothing, where runtimes fail
    e.give("Expand", {e.scalar(0), e.list(e.y().shape().vector())});
    return true;
  }
  e.give("MatMul", {e.in(0), e.in(1)});
  return true;
}

// y = x weight^T + bias.
bool linear(Emit& e) {
  if (e.shape(0).elements() == 0 || e.shape(1).elements() == 0) return false;
  const int rank = e.shape(0).rank();
  if (rank == 2) {
    Names operands = {e.in(0), e.in(1)};
    if (e.has(2)) operands.push_back(e.in(2));
    e.give("Gemm", operands, {{"transB", int64_t{1}}});
    return true;
  }
  std::string product = e.add("MatMul", {e.in(0), e.add("Transpose", {e.in(1)}, {{"perm", Ints{1, 0}}})});
  if (e.has(2)) product = e.add("Add", {product, e.in(2)});
  e.give(product);
  return true;
}

Ints joined(Ints front, const Ints& back) {
  front.insert(front.end(), back.begin(), back.end());
  return front;
}

bool all_ones(const Ints& list) {
  return std::all_of(list.begin(), list.end(), [](int64_t each) { return each == 1; });
}

// The transposed forms have ops of their own; a dilated image in a plain convolution is rare and is decomposed.
bool convolution(Emit& e) {
  if (!all_ones(e.integers("input_dilation"))) return false;
  e.give("Conv", {e.in(0), e.in(1)},
         {{"strides", e.integers("strides")},
          {"pads", joined(e.integers("low"), e.integers("high"))},
          {"dilations", e.integers("dilation")},
          {"group", e.integer("groups")}});
  return true;
}

// A list with one entry stands for all axes.
Ints per_axis(const Ints& list, int axes) { return list.size() == 1 ? Ints(static_cast<size_t>(axes), list[0]) : list; }

Names image_weight_bias(Emit& e) {
  Names operands = {e.in(0), e.in(1)};
  if (e.has(2)) operands.push_back(e.in(2));
  return operands;
}

bool conv(Emit& e, int64_t groups) {
  const int axes = e.shape(0).rank() - 2;
  const Ints padding = per_axis(e.integers("padding"), axes);
  e.give("Conv", image_weight_bias(e),
         {{"strides", per_axis(e.integers("stride"), axes)},
          {"pads", joined(padding, padding)},
          {"dilations", per_axis(e.integers("dilation"), axes)},
          {"group", groups}});
  return true;
}
bool grouped_conv(Emit& e) { return conv(e, e.integer("groups")); }
bool depthwise_conv(Emit& e) { return conv(e, e.shape(0)[1]); }

bool transposed_conv(Emit& e) {
  const int axes = e.shape(0).rank() - 2;
  const Ints padding = per_axis(e.integers("padding"), axes);
  e.give("ConvTranspose", image_weight_bias(e),
         {{"strides", per_axis(e.integers("stride"), axes)},
          {"pads", joined(padding, padding)},
          {"output_padding", per_axis(e.integers("output_padding"), axes)},
          {"dilations", per_axis(e.integers("dilation"), axes)},
          {"group", e.integer("groups")}});
  return true;
}

// Pools that let the last window hang over the end are left to their windows: runtimes differ in where it may begin.
bool pool(Emit& e, const char* op, Properties properties) {
  if (e.flag("ceil_mode")) return false;
  const int axes = e.shape(0).rank() - 2;
  const Ints window = per_axis(e.integers("window"), axes), padding = per_axis(e.integers("padding"), axes);
  const Ints stride = e.integers("stride").empty() ? window : per_axis(e.integers("stride"), axes);
  for (size_t a = 0; a < window.size(); ++a) {
    if (padding[a] >= window[a]) return false;  // runtimes refuse it
  }
  properties.insert(properties.end(),
                    {{"kernel_shape", window}, {"strides", stride}, {"pads", joined(padding, padding)}});
  e.give(op, {e.in(0)}, properties);
  return true;
}
bool max_pool(Emit& e) {
  return pool(e, "MaxPool", {{"dilations", per_axis(e.integers("dilation"), e.shape(0).rank() - 2)}});
}
bool avg_pool(Emit& e) { return pool(e, "AveragePool", {{"count_include_pad", int64_t{e.flag("count_include_pad")}}}); }

// Over the axes behind the second.
bool reduce_window(Emit& e) {
  const Ints &window = e.integers("window"), &strides = e.integers("strides"), &low = e.integers("low"),
             &high = e.integers("high"), &dilation = e.integers("dilation");
  const bool image = e.shape(0).rank() >= 3 && e.shape(0).rank() <= 5;
  if (!image || e.string("kind") != "max" || e.y().shape().elements() == 0) return false;
  for (size_t a = 0; a < window.size(); ++a) {
    if (low[a] >= window[a] || high[a] >= window[a]) return false;
    if (a < 2 && (window[a] != 1 || strides[a] != 1)) return false;
  }
  const auto tail = [](const Ints& list) { return Ints(list.begin() + 2, list.end()); };
  e.give("MaxPool", {e.in(0)},
         {{"kernel_shape", tail(window)},
          {"strides", tail(strides)},
          {"pads", joined(tail(low), tail(high))},
          {"dilations", tail(dilation)}});
  return true;
}

}  // namespace

std::span<const ExportRule> contraction_export_rules() {
  static const ExportRule rules[] = {
      {"avg_pool1d", {}, floats_but_bf16, avg_pool},
      {"avg_pool2d", {}, floats_but_bf16, avg_pool},
      {"avg_pool3d", {}, floats_but_bf16, avg_pool},
      {"conv1d", {}, floats_but_bf16, grouped_conv},
      {"conv1d_transpose", {}, floats_but_bf16, transposed_conv},
      {"conv2d", {}, floats_but_bf16, grouped_conv},
      {"conv2d_transpose", {}, floats_but_bf16, transposed_conv},
      {"conv3d", {}, floats_but_bf16, grouped_conv},
      {"conv3d_transpose", {}, floats_but_bf16, transposed_conv},
      {"convolution", {}, floats_but_bf16, convolution},
      {"depthwise_conv2d", {}, floats_but_bf16, depthwise_conv},
      {"dot_general", {}, wide_numbers, matmul},
      {"global_avg_pool", "GlobalAveragePool", floats_but_bf16},
      {"global_max_pool", "GlobalMaxPool", floats_but_bf16},
      {"linear", {}, wide_numbers, linear},
      {"matmul", {}, wide_numbers, matmul},
      {"max_pool1d", {}, floats_but_bf16, max_pool},
      {"max_pool2d", {}, floats_but_bf16, max_pool},
      {"max_pool3d", {}, floats_but_bf16, max_pool},
      {"reduce_window", {}, floats_but_bf16, reduce_window},
  };
  return rules;
}

}  // namespace trireme::formats::onnx
