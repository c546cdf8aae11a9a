// One output element from one input element: activations, functions, scaling.
#include "trireme/base/strings.h"
#include "trireme/formats/paddle/call.h"

namespace trireme::formats::paddle {

namespace {

template <Value (*f)(const Value&)>
void unary(Call& c) {
  c.result(f(c.x("X")));
}
// Of 16-bit floats in f32, rounded once.
template <Value (*f)(const Value&)>
void wide(Call& c) {
  c.result(in_wide(c.x("X"), f));
}
// The function takes one attribute.
template <class F>
void with(Call& c, F f) {
  c.result(in_wide(c.x("X"), f));
}

Value clipped(const Value& x, double low, double high) { return ops::min(ops::max(x, low), high); }

void relu6(Call& c) {
  const double threshold = c.number("threshold", 6.0);
  c.result(threshold == 6.0 ? ops::relu6(c.x("X")) : clipped(c.x("X"), 0.0, threshold));
}
void brelu(Call& c) {
  const double low = c.number("t_min", 0.0), high = c.number("t_max", 24.0);
  c.result(clipped(c.x("X"), low, high));
}
void hard_sigmoid(Call& c) {
  const double slope = c.number("slope", 0.2), offset = c.number("offset", 0.5);
  with(c, [&](const Value& x) { return ops::hard_sigmoid(x, slope, offset); });
}
void hard_swish(Call& c) {
  const double threshold = c.number("threshold", 6.0), scale = c.number("scale", 6.0), offset = c.number("offset", 3.0);
  c.require(scale != 0.0, "scale is 0");
  with(c, [&](const Value& x) {
    const bool usual = threshold == 6.0 && scale == 6.0 && offset == 3.0;
    return usual ? ops::hard_swish(x) : x * clipped(x + offset, 0.0, threshold) * (1.0 / scale);
  });
}
void swish(Call& c) {
  const double beta = c.number("beta", 1.0);
  with(c, [&](const Value& x) { return beta == 1.0 ? ops::silu(x) : x * ops::logistic(x * beta); });
}
void leaky_relu(Call& c) {
  const double alpha = c.number("alpha", 0.02);
  with(c, [&](const Value& x) { return ops::leaky_relu(x, alpha); });
}
void elu(Call& c) {
  const double alpha = c.number("alpha", 1.0);
  with(c, [&](const Value& x) { return ops::elu(x, alpha); });
}
void celu(Call& c) {
  const double alpha = c.number("alpha", 1.0);
  with(c, [&](const Value& x) { return ops::celu(x, alpha); });
}
void selu(Call& c) {
  const double alpha = c.number("alpha", 1.6732632423543772), scale = c.number("scale", 1.0507009873554805);
  with(c, [&](const Value& x) {
    return scale * ops::select(ops::compare(x, 0.0, "gt"), x, alpha * ops::expm1(ops::min(x, 0.0)));
  });
}
void gelu(Call& c) {
  const bool approximate = c.flag("approximate");
  with(c, [&](const Value& x) { return ops::gelu(x, approximate ? "tanh" : "none"); });
}
// log(1 + exp(beta x)) / beta, and x itself beyond the threshold.
void softplus(Call& c) {
  const double beta = c.number("beta", 1.0), threshold = c.number("threshold", 20.0);
  c.require(beta != 0.0, "beta is 0");
  with(c,
       [&](const Value& x) { return ops::select(ops::compare(x * beta, threshold, "gt"), x, ops::softplus(x, beta)); });
}
void hard_shrink(Call& c) {
  const double threshold = c.number("threshold", 0.5);
  with(c, [&](const Value& x) { return ops::hard_shrink(x, threshold); });
}
void soft_shrink(Call& c) {
  const double lambda = c.number("lambda", 0.5);
  with(c, [&](const Value& x) { return ops::soft_shrink(x, lambda); });
}
void thresholded_relu(Call& c) {
  const Value x = c.x("X");
  c.result(ops::select(ops::compare(x, c.number("threshold", 1.0), "gt"), x, 0.0));
}
void stanh(Call& c) {
  const double a = c.number("scale_a", 0.67), b = c.number("scale_b", 1.7159);
  with(c, [&](const Value& x) { return b * ops::tanh(x * a); });
}

// One slope for all, per channel, or per element of an image.
void prelu(Call& c) {
  const Value x = c.x("X");
  const std::string mode = c.string("mode", "all");
  Value slope = c.x("Alpha");
  const int rank = x.shape().rank();
  if (mode == "channel" && rank >= 2) {
    const std::string layout = c.string("data_format", "NCHW");
    slope = ops::along_axis(slope, layout == "NHWC" ? rank - 1 : 1, rank);
  } else if (mode == "element") {
    Ints sizes = x.shape().vector();
    if (!sizes.empty()) sizes[0] = 1;
    slope = ops::reshape(slope, sizes);
  } else {
    slope = ops::reshape(slope, {});
  }
  c.result(
      ops::select(ops::compare(x, 0.0, "lt"), x * broadcast(slope, broadcast_shape(c, slope.shape(), x.shape())), x));
}

void pow(Call& c) {
  const Value x = c.x("X");
  if (c.has("FactorTensor")) {
    const Value factor = ops::reshape(ops::as_type(c.x("FactorTensor"), x.dtype()), {});
    c.result(in_wide(x, [&](const Value& wide) {
      return ops::pow(wide, broadcast(ops::as_type(factor, wide.dtype()), wide.shape()));
    }));
    return;
  }
  const double factor = c.number("factor", 1.0);
  with(c, [&](const Value& wide) {
    return factor == 1.0 ? wide : factor == 2.0 ? wide * wide : ops::pow(wide, ops::filled_like(wide, factor));
  });
}

// x scale + bias, or (x + bias) scale. Integers are scaled in f32, which is what the scale is.
void scale(Call& c) {
  const Value x = c.x("X");
  const double bias = c.number("bias", 0.0);
  const bool after = c.flag("bias_after_scale", true);
  const bool by_tensor = c.has("ScaleTensor");
  const double factor = by_tensor ? 1.0 : c.number("scale", 1.0);
  if (!by_tensor && factor == 1.0 && bias == 0.0) {
    c.result(x);
    return;
  }
  const bool whole = !is_float(x.dtype()) && !by_tensor && factor == std::floor(factor) && bias == std::floor(bias);
  const DType type = is_float(x.dtype()) ? ops::wide_type(x.dtype()) : whole ? x.dtype() : f32;
  const Value wide = ops::as_type(x, type);
  const auto scaled = [&](const Value& v) {
    if (!by_tensor) return factor == 1.0 ? v : v * factor;
    return v * broadcast(ops::reshape(ops::as_type(c.x("ScaleTensor"), type), {}), v.shape());
  };
  const auto moved = [&](const Value& v) { return bias == 0.0 ? v : v + bias; };
  c.result(ops::as_type(after ? moved(scaled(wide)) : scaled(moved(wide)), x.dtype()));
}

// Halves away from 0.
void round(Call& c) {
  const Value x = c.x("X"), size = ops::abs(x), whole = ops::floor(size);
  c.result(ops::select(ops::compare(size - whole, 0.5, "ge"), whole + 1.0, whole) * ops::sign(x));
}

void increment(Call& c) { c.result(c.x("X") + c.number("step", 1.0)); }

void clip(Call& c) {
  Value y = c.x("X");
  const auto limit = [&](std::string_view tensor) {
    return broadcast(ops::reshape(ops::as_type(c.x(tensor), y.dtype()), {}), y.shape());
  };
  y = c.has("Min") ? ops::max(y, limit("Min")) : c.given("min") ? ops::max(y, c.number("min", 0.0)) : y;
  y = c.has("Max") ? ops::min(y, limit("Max")) : c.given("max") ? ops::min(y, c.number("max", 0.0)) : y;
  c.result(y);
}

// A trained model drops nothing; the older of the two rules scales instead.
void dropout(Call& c) {
  const bool scales = c.string("dropout_implementation", "downgrade_in_infer") == "downgrade_in_infer";
  const double keep = 1.0 - c.number("dropout_prob", 0.5);
  if (!c.flag("is_test", true)) c.unsupported("dropout in training mode; export the model for inference");
  c.result(scales ? c.x("X") * keep : c.x("X"));
}

}  // namespace

std::span<const Mapping> activation_mappings() {
  static constexpr Mapping table[] = {
      {"abs", unary<ops::abs>},
      {"acos", wide<ops::acos>},
      {"acosh", wide<ops::acosh>},
      {"asin", wide<ops::asin>},
      {"asinh", wide<ops::asinh>},
      {"atan", wide<ops::atan>},
      {"atanh", wide<ops::atanh>},
      {"brelu", brelu},
      {"ceil", unary<ops::ceil>},
      {"celu", celu},
      {"clip", clip},
      {"cos", wide<ops::cos>},
      {"cosh", wide<ops::cosh>},
      {"dropout", dropout},
      {"elu", elu},
      {"erf", wide<ops::erf>},
      {"exp", wide<ops::exp>},
      {"expm1", wide<ops::expm1>},
      {"floor", unary<ops::floor>},
      {"gelu", gelu},
      {"hard_shrink", hard_shrink},
      {"hard_sigmoid", hard_sigmoid},
      {"hard_swish", hard_swish},
      {"increment", increment},
      {"isfinite_v2", unary<ops::is_finite>},
      {"isinf_v2", unary<ops::is_inf>},
      {"isnan_v2", unary<ops::is_nan>},
      {"leaky_relu", leaky_relu},
      {"log", wide<ops::log>},
      {"log10", wide<ops::log10>},
      {"log1p", wide<ops::log1p>},
      {"log2", wide<ops::log2>},
      {"logsigmoid", wide<ops::log_sigmoid>},
      {"mish", wide<ops::mish>},
      {"pow", pow},
      {"prelu", prelu},
      {"reciprocal", wide<ops::reciprocal>},
      {"relu", unary<ops::relu>},
      {"relu6", relu6},
      {"round", round},
      {"rsqrt", wide<ops::rsqrt>},
      {"scale", scale},
      {"selu", selu},
      {"sigmoid", wide<ops::logistic>},
      {"sign", unary<ops::sign>},
      {"silu", wide<ops::silu>},
      {"sin", wide<ops::sin>},
      {"sinh", wide<ops::sinh>},
      {"softplus", softplus},
      {"softshrink", soft_shrink},
      {"softsign", wide<ops::softsign>},
      {"sqrt", wide<ops::sqrt>},
      {"square", unary<ops::square>},
      {"stanh", stanh},
      {"swish", swish},
      {"tan", wide<ops::tan>},
      {"tanh", wide<ops::tanh>},
      {"tanh_shrink", wide<ops::tanh_shrink>},
      {"thresholded_relu", thresholded_relu},
  };
  return table;
}

}  // namespace trireme::formats::paddle
