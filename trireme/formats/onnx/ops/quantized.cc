// Between numbers and their quantised form.
#include "trireme/base/strings.h"
#include "trireme/formats/onnx/call.h"
#include "trireme/formats/onnx/ops/quantization.h"

namespace trireme::formats::onnx {

Limits limits_of(Elem elem) {
  switch (elem) {
    case Elem::kInt4: return {-8, 7};
    case Elem::kUint4: return {0, 15};
    case Elem::kInt2: return {-2, 1};
    case Elem::kUint2: return {0, 3};
    default: return {lowest(carrier(elem)), highest(carrier(elem))};
  }
}

Value saturated(const Value& whole, Elem elem) {
  const auto [low, high] = limits_of(elem);
  return ops::convert(ops::min(ops::max(whole, low), high), carrier(elem));
}

namespace {

// A scale or zero point in the shape of x: a scalar, one per entry of an axis, or one per block along it.
Value spread(Call& c, const Value& scale, const Shape& x) {
  if (scale.shape().elements() == 1 && scale.shape().rank() <= 1) return broadcast(ops::reshape(scale, {}), x);
  const int64_t axis = c.axis(c.integer("axis", 1), x.rank());
  const int a = static_cast<int>(axis);
  const int64_t block = c.integer("block_size", 0);
  if (block == 0) {
    c.require(scale.shape() == Shape{x[a]}, cat("scale is ", scale.shape(), " for axis ", axis, " of ", x));
    return broadcast(ops::along_axis(scale, axis, x.rank()), x);
  }
  c.require(scale.shape().rank() == x.rank() && block > 0, cat("scale is ", scale.shape(), " for blocks in ", x));
  const int64_t blocks = scale.shape()[a];
  c.require(blocks == (x[a] + block - 1) / block, cat(blocks, " scales for axis ", axis, " of ", x));
  Ints apart = scale.shape().vector(), wide = apart, joined = apart;
  apart.insert(apart.begin() + a + 1, 1);
  wide.insert(wide.begin() + a + 1, block);
  joined[static_cast<size_t>(a)] = blocks * block;
  if (static_cast<int>(apart.size()) > kMaxRank) c.unsupported("too many axes");
  const Value all = ops::reshape(ops::broadcast_to(ops::reshape(scale, apart), wide), joined);
  const Value out = ops::slice_axis(all, a, 0, x[a]);
  c.require(out.shape() == x, cat("scale is ", scale.shape(), " for ", x));
  return out;
}

void quantize_linear(Call& c) {
  const Elem to = c.has(2) ? c.elem(2)
                  : c.given("output_dtype") && c.integer("output_dtype") != 0
                      ? static_cast<Elem>(c.integer("output_dtype"))
                      : Elem::kUint8;
  const DType type = c.dtype(0) == f64 ? f64 : f32;
  const Value x = ops::as_type(c.x(0), type);
  Value y = x / spread(c, ops::as_type(c.x(1), type), x.shape());
  const Value zero = c.has(2) ? spread(c, ops::as_type(c.x(2), type), x.shape()) : Value();
  if (carrier(to) == f32) {
    c.result(0, cast(c, Item(zero ? y + zero : y), to, c.integer("saturate", 1) != 0));
    return;
  }
  y = ops::round_even(y);
  c.result(0, Item(to, saturated(zero ? y + zero : y, to)));
}

void dequantize_linear(Call& c) {
  const Elem to = c.given("output_dtype") && c.integer("output_dtype") != 0
                      ? static_cast<Elem>(c.integer("output_dtype"))
                      : c.elem(1);
  const Value scale = c.x(1);
  const Shape shape = c.shape(0);
  Value x = ops::as_type(c.x(0), is_float(c.dtype(0)) ? f32 : i32);
  if (c.has(2)) x = x - spread(c, ops::as_type(c.x(2), x.dtype()), shape);
  const Value y = ops::as_type(x, f32) * spread(c, ops::as_type(scale, f32), shape);
  c.result(0, cast(c, Item(y), to));
}

// Scale and zero point from the range of x, which is made to include 0.
void dynamic_quantize_linear(Call& c) {
  const Value& x = c.x(0);
  const auto all = ops::iota_axes(x.shape().rank());
  const Value low = ops::min(all.empty() ? x : ops::reduce_min(x, all), 0.0);
  const Value high = ops::max(all.empty() ? x : ops::reduce_max(x, all), 0.0);
  const Value range = (high - low) / ops::filled_like(low, 255.0);
  const Value scale = ops::select(ops::compare(range, 0.0, "eq"), 1.0, range);
  const Value zero = ops::round_even(ops::min(ops::max(-low / scale, 0.0), 255.0));
  const Value y = ops::round_even(x / broadcast(scale, x.shape())) + broadcast(zero, x.shape());
  c.result(0, saturated(y, Elem::kUint8));
  c.result(1, scale);
  c.result(2, ops::convert(zero, u8));
}

}  // namespace

std::span<const Mapping> quantized_mappings() {
  static constexpr Mapping table[] = {
      {"DequantizeLinear", dequantize_linear, 10},
      {"DynamicQuantizeLinear", dynamic_quantize_linear, 11},
      {"QuantizeLinear", quantize_linear, 10},
  };
  return table;
}

}  // namespace trireme::formats::onnx
