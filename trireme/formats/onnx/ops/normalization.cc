// Normalisations. Statistics of 16-bit floats are computed in f32.
#include "trireme/base/strings.h"
#include "trireme/formats/onnx/call.h"

namespace trireme::formats::onnx {

namespace {

Value along_channels(const Value& v, const Shape& x) {
  return broadcast(ops::along_axis(v, x.rank() >= 2 ? 1 : 0, x.rank()), x);
}

// (x - mean) / sqrt(variance + epsilon) over `axes`, the statistics of which stay with size 1.
struct Standardised {
  Value y, mean, inverse;
};
Standardised standardised(const Value& x, const Ints& axes, double epsilon) {
  const Value mean = ops::mean_kept(x, axes);
  const Value centred = x - broadcast(mean, x.shape());
  const Value inverse = 1.0 / ops::sqrt(ops::mean_kept(centred * centred, axes) + epsilon);
  return {centred * broadcast(inverse, x.shape()), mean, inverse};
}

void batch_norm(Call& c) {
  const Value x = ops::widen(c.x(0));
  const DType type = x.dtype();
  const double epsilon = c.number("epsilon", 1e-5);
  const auto channels = [&](const Value& v) { return along_channels(v, x.shape()); };
  const Value scale = ops::as_type(c.x(1), type), bias = ops::as_type(c.x(2), type);
  const Value mean = ops::as_type(c.x(3), type), variance = ops::as_type(c.x(4), type);
  const bool training = c.opset() >= 14 ? c.integer("training_mode", 0) != 0
                                        : c.opset() < 7 && c.integer("is_test", 0) == 0 && c.wants(1);
  if (!training) {
    const Value factor = scale / ops::sqrt(variance + epsilon);
    c.result(ops::as_type(x * channels(factor) + channels(bias - mean * factor), c.dtype(0)));
    return;
  }
  const double momentum = c.number("momentum", 0.9F);
  const Ints axes = ops::axes_but(1, x.shape().rank());
  const Standardised s = standardised(x, axes, epsilon);
  c.result(ops::as_type(s.y * channels(scale) + channels(bias), c.dtype(0)));
  const Value centred = x - broadcast(s.mean, x.shape());
  const auto flat = [&](const Value& v) { return ops::reshape(v, {x.shape()[1]}); };
  const auto blend = [&](const Value& running, const Value& now, DType to) {
    return ops::as_type(running * momentum + flat(now) * (1.0 - momentum), to);
  };
  c.result(1, blend(mean, s.mean, c.dtype(3)));
  c.result(2, blend(variance, ops::mean_kept(centred * centred, axes), c.dtype(4)));
}

void instance_norm(Call& c) {
  const Value x = ops::widen(c.x(0));
  const Value y = standardised(x, ops::axes_from(2, x.shape().rank()), c.number("epsilon", 1e-5)).y;
  const auto channels = [&](int input) { return along_channels(ops::as_type(c.x(input), x.dtype()), x.shape()); };
  c.result(ops::as_type(y * channels(1) + channels(2), c.dtype(0)));
}

void group_norm(Call& c) {
  const Shape& shape = c.shape(0);
  const int64_t groups = c.integer("num_groups");
  c.require(shape.rank() >= 2 && groups >= 1 && shape[1] % groups == 0, cat(groups, " groups of ", shape));
  const Value x =
      ops::reshape(ops::widen(c.x(0)), {shape[0], groups, shape[0] == 0 ? 0 : shape.elements() / (shape[0] * groups)});
  const Value y = ops::reshape(standardised(x, {2}, c.number("epsilon", 1e-5)).y, shape.vector());
  const auto channels = [&](int input) {
    Value v = ops::as_type(c.x(input), x.dtype());
    if (v.shape() == Shape{groups} && groups != shape[1]) {  // until opset 20 one number per group
      v = ops::reshape(ops::broadcast_to(ops::reshape(v, {groups, 1}), {groups, shape[1] / groups}), {shape[1]});
    }
    return along_channels(v, shape);
  };
  c.result(ops::as_type(y * channels(1) + channels(2), c.dtype(0)));
}

// The type of the arithmetic: stash_type, f32 unless it says otherwise.
DType stash(Call& c) { return c.dtype(0) == f64 ? f64 : carrier(static_cast<Elem>(c.integer("stash_type", 1))); }

void layer_norm(Call& c) {
  const DType type = stash(c);
  const Value x = ops::as_type(c.x(0), type);
  const Ints axes = ops::axes_from(static_cast<int>(c.axis(c.integer("axis", -1), c.rank(0))), c.rank(0));
  const Standardised s = standardised(x, axes, c.number("epsilon", 1e-5));
  const DType result = c.dtype(0);
  Value y = ops::as_type(s.y, result) * broadcast(c.x(1), x.shape());
  if (c.has(2)) y = y + broadcast(c.x(2), x.shape());
  c.result(y);
  c.result(1, s.mean);
  c.result(2, s.inverse);
}

void rms_norm(Call& c) {
  const DType type = stash(c);
  const Value x = ops::as_type(c.x(0), type);
  const Ints axes = ops::axes_from(static_cast<int>(c.axis(c.integer("axis", -1), c.rank(0))), c.rank(0));
  const Value inverse = 1.0 / ops::sqrt(ops::mean_kept(x * x, axes) + c.number("epsilon", 1e-5));
  c.result(ops::as_type(x * broadcast(inverse, x.shape()), c.dtype(1)) * broadcast(c.x(1), x.shape()));
}

void mean_variance(Call& c) {
  const Value x = ops::widen(c.x(0));
  Ints axes = c.integers("axes", {0, 2, 3});
  axes = ops::normal_axes(c.axes(axes, x.shape().rank()), x.shape().rank());
  const Value mean = ops::mean_kept(x, axes);
  const Value variance = ops::mean_kept(x * x, axes) - mean * mean;
  c.result(
      ops::as_type((x - broadcast(mean, x.shape())) / broadcast(ops::sqrt(variance) + 1e-9, x.shape()), c.dtype(0)));
}

void lp_norm(Call& c) {
  const Value x = ops::widen(c.x(0));
  const int64_t axis = c.axis(c.integer("axis", -1), x.shape().rank()), p = c.integer("p", 2);
  c.require(p == 1 || p == 2, cat("p is ", p, "; it must be 1 or 2"));
  const Value norm =
      p == 1 ? ops::reduce_sum(ops::abs(x), {axis}, true) : ops::sqrt(ops::reduce_sum(x * x, {axis}, true));
  const Value wide = broadcast(norm, x.shape());
  c.result(ops::as_type(ops::select(ops::compare(wide, 0.0, "eq"), 0.0, x / wide), c.dtype(0)));
}

void lrn(Call& c) {
  const Value x = ops::widen(c.x(0));
  const Shape& shape = x.shape();
  const int64_t size = c.integer("size");
  c.require(shape.rank() >= 2 && size >= 1, cat("size ", size, " of ", shape));
  const auto rank = static_cast<size_t>(shape.rank());
  Ints window(rank, 1), one(rank, 1), low(rank, 0), high(rank, 0);
  window[1] = size;
  low[1] = (size - 1) / 2;
  high[1] = size - 1 - low[1];
  const Value sum = ops::reduce_window(x * x, "sum", window, one, low, high, one);
  const Value base = sum * (c.number("alpha", 1e-4) / static_cast<double>(size)) + c.number("bias", 1.0);
  c.result(ops::as_type(x / ops::pow(base, ops::filled_like(base, c.number("beta", 0.75))), c.dtype(0)));
}

}  // namespace

std::span<const Mapping> normalization_mappings() {
  static constexpr Mapping table[] = {
      {"BatchNormalization", batch_norm},
      {"GroupNormalization", group_norm, 18},
      {"InstanceNormalization", instance_norm},
      {"LRN", lrn},
      {"LayerNormalization", layer_norm, 17},
      {"LpNormalization", lp_norm},
      {"MeanVarianceNormalization", mean_variance, 9},
      {"RMSNormalization", rms_norm, 23},
  };
  return table;
}

}  // namespace trireme::formats::onnx
