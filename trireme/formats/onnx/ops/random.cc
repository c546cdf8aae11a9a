// Random numbers, from Philox: other generators' values are not reproduced.
#include "trireme/base/strings.h"
#include "trireme/formats/onnx/call.h"

namespace trireme::formats::onnx {

namespace {

Value key(Call& c) { return c.random_key(c.number("seed", 0.0)); }

Elem elem_or(Call& c, Elem missing) { return c.given("dtype") ? static_cast<Elem>(c.integer("dtype")) : missing; }

void draw(Call& c, const Shape& shape, Elem elem, bool normal) {
  const DType type = carrier(elem), wide = ops::wide_type(type);
  const Value y = normal ? ops::normal(key(c), shape.vector(), c.number("mean", 0.0), c.number("scale", 1.0), wide)
                         : ops::uniform(key(c), shape.vector(), c.number("low", 0.0), c.number("high", 1.0), wide);
  c.result(0, Item(elem, ops::as_type(y, type)));
}
void random_normal(Call& c) { draw(c, Shape(c.integers("shape")), elem_or(c, Elem::kFloat), true); }
void random_uniform(Call& c) { draw(c, Shape(c.integers("shape")), elem_or(c, Elem::kFloat), false); }
void random_normal_like(Call& c) { draw(c, c.shape(0), elem_or(c, c.elem(0)), true); }
void random_uniform_like(Call& c) { draw(c, c.shape(0), elem_or(c, c.elem(0)), false); }

void bernoulli(Call& c) {
  const Value p = ops::as_type(c.x(0), f32);
  const Value u = ops::uniform(key(c), p.shape().vector(), 0.0, 1.0, f32);
  const Elem elem = elem_or(c, c.elem(0));
  c.result(0, Item(elem, ops::convert(ops::compare(u, p, "lt"), carrier(elem))));
}

// The class whose log probability, with Gumbel noise added, is the largest.
void multinomial(Call& c) {
  const int64_t samples = c.integer("sample_size", 1);
  const Shape& shape = c.shape(0);
  c.require(shape.rank() == 2 && shape[1] >= 1 && samples >= 1, cat("the input is ", shape));
  const Ints all = {shape[0], samples, shape[1]};
  const Value u = ops::uniform(key(c), all, 0.0, 1.0, f32);
  const Value noise = -ops::log(-ops::log(ops::max(u, 1e-30)));
  const Value scores = ops::broadcast_to(ops::reshape(ops::as_type(c.x(0), f32), {shape[0], 1, shape[1]}), all) + noise;
  const auto elem = static_cast<Elem>(c.integer("dtype", 6));
  c.result(0, Item(elem, ops::as_type(ops::argmax(scores, 2, false), carrier(elem))));
}

void dropout(Call& c) {
  const Value& x = c.x(0);
  double ratio = c.number("ratio", 0.5);
  bool training = c.opset() < 7 && c.integer("is_test", 0) == 0 && c.opset() < 6;
  if (c.opset() >= 12) {
    ratio = c.has(1) ? c.known_numbers(1).at(0) : 0.5;
    training = c.has(2) && c.known(2).at(0) != 0.0;
  }
  c.require(ratio >= 0.0 && ratio < 1.0, cat("ratio ", ratio, " is not within 0 .. 1"));
  if (!training || ratio == 0.0) {
    c.result_like(0, x);
    c.result(1, ops::filled(c.opset() >= 10 ? boolean : x.dtype(), x.shape(), 1.0));
    return;
  }
  const Value drawn = c.random_key(static_cast<double>(c.integer("seed", 0)));  // here the seed is an integer
  const Value keep = ops::compare(ops::uniform(drawn, x.shape().vector(), 0.0, 1.0, f32), ratio, "ge");
  c.result(0, ops::select(keep, x * (1.0 / (1.0 - ratio)), 0.0));
  c.result(1, keep);
}

}  // namespace

std::span<const Mapping> random_mappings() {
  static constexpr Mapping table[] = {
      {"Bernoulli", bernoulli, 15},
      {"Dropout", dropout},
      {"Multinomial", multinomial, 7},
      {"RandomNormal", random_normal},
      {"RandomNormalLike", random_normal_like},
      {"RandomUniform", random_uniform},
      {"RandomUniformLike", random_uniform_like},
  };
  return table;
}

}  // namespace trireme::formats::onnx
