// Losses, and steps of optimizers that ONNX knows as operators.
#include "trireme/base/strings.h"
#include "trireme/formats/onnx/call.h"

namespace trireme::formats::onnx {

namespace {

// -w[label] log p[label] over the classes, axis 1; `ignored` labels count nothing.
void negative_log_likelihood(Call& c, const Value& log_p, int labels, int weights) {
  const Shape& shape = log_p.shape();
  c.require(shape.rank() >= 2, "the scores have a class axis");
  const int64_t classes = shape[1];
  const Value label = ops::as_type(c.x(labels), i64);
  c.require(label.shape() == shape.without(1), cat("labels ", label.shape(), " for scores ", shape));
  const bool ignores = c.given("ignore_index");
  const Value hot = ops::compare(broadcast(ops::reshape(label, shape.with(1, 1).vector()), shape),
                                 ops::iota(shape.vector(), i64, 1), "eq");
  const Value picked = ops::reduce_sum(ops::select(hot, log_p, 0.0), {1}, false);
  Value weight = ops::filled_like(picked, 1.0);
  if (c.has(weights)) {
    c.require(c.shape(weights) == Shape{classes}, cat("weights ", c.shape(weights)));
    const Value spread = broadcast(ops::along_axis(ops::as_type(c.x(weights), log_p.dtype()), 1, shape.rank()), shape);
    weight = ops::reduce_sum(ops::select(hot, spread, 0.0), {1}, false);
  }
  if (ignores) {
    weight = ops::select(ops::compare(label, static_cast<double>(c.integer("ignore_index")), "eq"), 0.0, weight);
  }
  const Value loss = -(picked * weight);
  const std::string reduction = c.string("reduction", "mean");
  const Ints all = ops::iota_axes(loss.shape().rank());
  if (reduction == "none") c.result(ops::as_type(loss, c.dtype(0)));
  else if (reduction == "sum") c.result(ops::as_type(ops::reduce_sum(loss, all), c.dtype(0)));
  else if (reduction == "mean")
    c.result(ops::as_type(ops::reduce_sum(loss, all) / ops::reduce_sum(weight, all), c.dtype(0)));
  else c.invalid(cat("reduction '", reduction, "'"));
}

void nll_loss(Call& c) { negative_log_likelihood(c, ops::widen(c.x(0)), 1, 2); }

void softmax_cross_entropy(Call& c) {
  const Value log_p = ops::log_softmax(ops::widen(c.x(0)), 1);
  negative_log_likelihood(c, log_p, 1, 2);
  c.result(1, ops::as_type(log_p, c.dtype(0)));
}

// Inputs R, T, then for each of n tensors X, G and further states, kind by kind.
Value spread_like(const Value& scalar, const Value& x) {
  return broadcast(ops::as_type(ops::reshape(scalar, {}), x.dtype()), x.shape());
}

void adagrad(Call& c) {
  c.require(c.inputs() >= 5 && (c.inputs() - 2) % 3 == 0, "X, G and H for each tensor");
  const int n = (c.inputs() - 2) / 3;
  for (int i = 0; i < n; ++i) {
    const Value x = c.x(2 + i), h = c.x(2 + 2 * n + i);
    const Value g = c.x(2 + n + i) + x * c.number("norm_coefficient", 0.0);
    const Value rate = spread_like(c.x(0), x) / (spread_like(c.x(1), x) * c.number("decay_factor", 0.0) + 1.0);
    const Value next = h + g * g;
    c.result(i, x - rate * g / (ops::sqrt(next) + c.number("epsilon", 1e-6F)));
    c.result(n + i, next);
  }
}

void adam(Call& c) {
  c.require(c.inputs() >= 6 && (c.inputs() - 2) % 4 == 0, "X, G, V and H for each tensor");
  const int n = (c.inputs() - 2) / 4;
  const double alpha = c.number("alpha", 0.9F), beta = c.number("beta", 0.999F);
  for (int i = 0; i < n; ++i) {
    const Value x = c.x(2 + i);
    const Value g = c.x(2 + n + i) + x * c.number("norm_coefficient", 0.0);
    const Value v = c.x(2 + 2 * n + i) * alpha + g * (1.0 - alpha),
                h = c.x(2 + 3 * n + i) * beta + g * g * (1.0 - beta);
    const Value t = spread_like(c.x(1), x);
    const Value corrected =
        ops::sqrt(1.0 - ops::pow(ops::filled_like(x, beta), t)) / (1.0 - ops::pow(ops::filled_like(x, alpha), t));
    const Value rate = spread_like(c.x(0), x) * ops::select(ops::compare(t, 0.0, "gt"), corrected, 1.0);
    const Value y = x - rate * v / (ops::sqrt(h) + c.number("epsilon", 1e-6F));
    c.result(i, y * (1.0 - c.number("norm_coefficient_post", 0.0)));
    c.result(n + i, v);
    c.result(2 * n + i, h);
  }
}

void momentum(Call& c) {
  c.require(c.inputs() >= 5 && (c.inputs() - 2) % 3 == 0, "X, G and V for each tensor");
  const int n = (c.inputs() - 2) / 3;
  const double alpha = c.number("alpha"), beta = c.number("beta");
  const bool nesterov = c.string("mode", "standard") == "nesterov";
  for (int i = 0; i < n; ++i) {
    const Value x = c.x(2 + i), rate = spread_like(c.x(0), x);
    const Value g = c.x(2 + n + i) + x * c.number("norm_coefficient", 0.0);
    const Value share = ops::select(ops::compare(spread_like(c.x(1), x), 0.0, "gt"), ops::filled_like(x, beta), 1.0);
    const Value v = c.x(2 + 2 * n + i) * alpha + share * g;
    c.result(i, x - rate * (nesterov ? g + v * alpha : v));
    c.result(n + i, v);
  }
}

}  // namespace

std::span<const Mapping> loss_mappings() {
  static constexpr Mapping table[] = {
      {"Adagrad", adagrad, 1, kMaxOpset, "ai.onnx.preview.training"},
      {"Adam", adam, 1, kMaxOpset, "ai.onnx.preview.training"},
      {"Momentum", momentum, 1, kMaxOpset, "ai.onnx.preview.training"},
      {"NegativeLogLikelihoodLoss", nll_loss, 12},
      {"SoftmaxCrossEntropyLoss", softmax_cross_entropy, 12},
  };
  return table;
}

}  // namespace trireme::formats::onnx
