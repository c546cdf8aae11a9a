// One output element from one element of each input: arithmetic, activations, comparisons, bits.
#include "trireme/base/strings.h"
#include "trireme/formats/onnx/call.h"

namespace trireme::formats::onnx {

namespace {

template <Value (*f)(const Value&)>
void unary(Call& c) {
  c.result(f(c.x(0)));
}
// Of 16-bit floats in f32, rounded once.
template <Value (*f)(const Value&)>
void wide(Call& c) {
  c.result(ops::as_type(f(ops::widen(c.x(0))), c.dtype(0)));
}

struct Pair {
  Value x, w;
};

// Both operands in one shape. Until opset 6, `broadcast` aligns the second operand's axes at `axis`.
Pair operands(Call& c) {
  Value x = c.x(0), w = c.x(1);
  if (c.opset() < 7 && c.integer("broadcast", 0) != 0 && c.given("axis")) {
    const int64_t axis = c.axis(c.integer("axis"), x.shape().rank());
    Ints sizes = w.shape().vector();
    while (static_cast<int64_t>(sizes.size()) + axis < x.shape().rank()) sizes.push_back(1);
    w = ops::reshape(w, sizes);
  }
  if (x.dtype() != w.dtype()) c.invalid(cat("its inputs are of ", x.dtype(), " and ", w.dtype()));
  const Shape shape = broadcast_shape(c, {x.shape(), w.shape()});
  return {broadcast(x, shape), broadcast(w, shape)};
}

template <Value (*f)(const Value&, const Value&)>
void binary(Call& c) {
  const auto [x, w] = operands(c);
  c.result(f(x, w));
}

void comparison(Call& c, std::string_view kind) {
  if (c.item(0).kind == Kind::kText && c.item(1).kind == Kind::kText && kind == "eq") {
    const Text &a = *c.item(0).text, &b = *c.item(1).text;
    const Shape shape = broadcast_shape(c, {a.shape, b.shape});
    const auto places = [&](const Text& t) {  // which string stands at each place of the result
      std::vector<int64_t> index(t.strings.size());
      for (size_t i = 0; i < index.size(); ++i) index[i] = static_cast<int64_t>(i);
      const Value all = ops::reshape(int64s(index), t.shape.vector());
      return c.known(broadcast(all, shape));
    };
    const Literal at_a = places(a), at_b = places(b);
    std::vector<double> equal;
    for (int64_t i = 0; i < shape.elements(); ++i) {
      equal.push_back(a.strings[static_cast<size_t>(at_a.at(i))] == b.strings[static_cast<size_t>(at_b.at(i))]);
    }
    c.result(ops::constant(Literal::from_doubles(boolean, shape, equal)));
    return;
  }
  const auto [x, w] = operands(c);
  c.result(ops::compare(x, w, kind));
}

void equal(Call& c) { comparison(c, "eq"); }
void less(Call& c) { comparison(c, "lt"); }
void less_or_equal(Call& c) { comparison(c, "le"); }
void greater(Call& c) { comparison(c, "gt"); }
void greater_or_equal(Call& c) { comparison(c, "ge"); }

// Any number of inputs, folded from the left.
template <Value (*f)(const Value&, const Value&)>
Value folded(Call& c) {
  Value sum = c.x(0);
  for (int i = 1; i < c.inputs(); ++i) {
    const Shape shape = broadcast_shape(c, {sum.shape(), c.shape(i)});
    sum = f(broadcast(sum, shape), broadcast(c.x(i), shape));
  }
  return sum;
}
void sum(Call& c) { c.result(folded<ops::add>(c)); }
void max(Call& c) { c.result(folded<ops::max>(c)); }
void min(Call& c) { c.result(folded<ops::min>(c)); }
void mean(Call& c) { c.result(folded<ops::add>(c) * (1.0 / c.inputs())); }

void pow(Call& c) {
  Value x = c.x(0), w = c.x(1);
  const DType result = x.dtype();
  const DType type = promote(result, w.dtype());
  if (c.opset() < 7 && c.integer("broadcast", 0) != 0 && c.given("axis")) {
    Ints sizes = w.shape().vector();
    while (static_cast<int64_t>(sizes.size()) + c.integer("axis") < x.shape().rank()) sizes.push_back(1);
    w = ops::reshape(w, sizes);
  }
  const Shape shape = broadcast_shape(c, {x.shape(), w.shape()});
  x = broadcast(ops::as_type(x, type), shape);
  w = broadcast(ops::as_type(w, type), shape);
  c.result(ops::as_type(ops::pow(x, w), result));
}

void mod(Call& c) {
  const auto [x, w] = operands(c);
  if (c.integer("fmod", 0) != 0) c.result(ops::rem(x, w));
  else if (is_float(x.dtype())) c.result(ops::as_type(ops::remainder(ops::widen(x), ops::widen(w)), x.dtype()));
  else c.result(ops::remainder(x, w));
}

void bit_shift(Call& c) {
  const auto [x, w] = operands(c);
  const std::string direction = c.string("direction", "");
  if (direction == "LEFT") c.result(ops::shift_left(x, w));
  else if (direction == "RIGHT") c.result(ops::shift_right_logical(x, w));
  else c.invalid(cat("direction is '", direction, "'; it must be LEFT or RIGHT"));
}

void clip(Call& c) {
  Value y = c.x(0);
  if (c.opset() < 11) {
    if (c.given("min")) y = ops::max(y, c.number("min"));
    if (c.given("max")) y = ops::min(y, c.number("max"));
  } else {
    if (c.has(1)) y = ops::max(y, broadcast(c.x(1), y.shape()));
    if (c.has(2)) y = ops::min(y, broadcast(c.x(2), y.shape()));
  }
  c.result(y);
}

void where(Call& c) {
  const Shape shape = broadcast_shape(c, {c.shape(0), c.shape(1), c.shape(2)});
  c.require(c.dtype(1) == c.dtype(2), "X and Y have different element types");
  c.result(0,
           Item(c.elem(1), ops::select(broadcast(c.x(0), shape), broadcast(c.x(1), shape), broadcast(c.x(2), shape))));
}

// --- activations with attributes ---

Value in_wide(const Value& x, auto f) { return ops::as_type(f(ops::widen(x)), x.dtype()); }

void leaky_relu(Call& c) {
  const double alpha = c.number("alpha", 0.01);
  c.result(in_wide(c.x(0), [&](const Value& x) { return ops::leaky_relu(x, alpha); }));
}
void elu(Call& c) {
  const double alpha = c.number("alpha", 1.0);
  c.result(in_wide(c.x(0), [&](const Value& x) { return ops::elu(x, alpha); }));
}
void celu(Call& c) {
  const double alpha = c.number("alpha", 1.0);
  c.result(in_wide(c.x(0), [&](const Value& x) { return ops::celu(x, alpha); }));
}
void selu(Call& c) {
  const double alpha = c.number("alpha", 1.67326319217681884765625),
               gamma = c.number("gamma", 1.05070102214813232421875);
  c.result(in_wide(c.x(0), [&](const Value& x) {
    return gamma * ops::select(ops::compare(x, 0.0, "gt"), x, alpha * ops::expm1(ops::min(x, 0.0)));
  }));
}
void hard_sigmoid(Call& c) {
  const double alpha = c.number("alpha", 0.2F), beta = c.number("beta", 0.5);
  c.result(in_wide(c.x(0), [&](const Value& x) { return ops::min(ops::max(x * alpha + beta, 0.0), 1.0); }));
}
void thresholded_relu(Call& c) {
  c.result(ops::select(ops::compare(c.x(0), c.number("alpha", 1.0), "gt"), c.x(0), 0.0));
}
void shrink(Call& c) {
  const double lambda = c.number("lambd", 0.5), bias = c.number("bias", 0.0);
  const Value x = c.x(0);
  c.result(
      ops::select(ops::compare(x, -lambda, "lt"), x + bias, ops::select(ops::compare(x, lambda, "gt"), x - bias, 0.0)));
}
void prelu(Call& c) {
  const Value x = c.x(0);
  Value slope = c.x(1);
  if (c.opset() < 7 && slope.shape().rank() == 1 && x.shape().rank() > 1) {
    slope = ops::along_axis(slope, slope.shape()[0] == 1 ? 0 : 1, x.shape().rank());
  }
  c.result(ops::select(ops::compare(x, 0.0, "lt"), x * broadcast(slope, x.shape()), x));
}
void gelu(Call& c) {
  const std::string approximate = c.string("approximate", "none");
  c.result(in_wide(c.x(0), [&](const Value& x) { return ops::gelu(x, approximate); }));
}
void swish(Call& c) {
  const double alpha = c.number("alpha", 1.0);
  c.result(in_wide(c.x(0), [&](const Value& x) { return x * ops::logistic(x * alpha); }));
}
void is_inf(Call& c) {
  const bool negative = c.integer("detect_negative", 1) != 0, positive = c.integer("detect_positive", 1) != 0;
  const Value x = c.x(0), inf = ops::is_inf(x);
  if (negative && positive) c.result(inf);
  else if (!negative && !positive) c.result(ops::filled(boolean, x.shape(), 0.0));
  else c.result(ops::and_(inf, ops::compare(x, 0.0, negative ? "lt" : "gt")));
}
void hardmax(Call& c) {
  const Value& x = c.x(0);
  const int rank = x.shape().rank();
  const auto hot = [&](const Value& v, int64_t axis) {
    const int a = static_cast<int>(axis);
    const Value first = ops::argmax(v, axis, true);
    const Value place = ops::iota(v.shape().vector(), i32, a);
    return ops::convert(ops::compare(place, broadcast(ops::as_type(first, i32), v.shape()), "eq"), v.dtype());
  };
  if (c.opset() >= 13) {
    c.result(hot(x, c.axis(c.integer("axis", -1), rank)));
    return;
  }
  const int64_t axis = c.integer("axis", 1) == rank ? rank : c.axis(c.integer("axis", 1), rank);
  const Value flat = ops::reshape(x, {Shape(x.shape().sizes().first(static_cast<size_t>(axis))).elements(),
                                      Shape(x.shape().sizes().subspan(static_cast<size_t>(axis))).elements()});
  c.result(ops::reshape(hot(flat, 1), x.shape().vector()));
}

void identity(Call& c) { c.result(0, c.item(0)); }

void reciprocal(Call& c) {
  c.result(in_wide(c.x(0), [](const Value& x) { return 1.0 / x; }));
}
void softplus(Call& c) {
  c.result(in_wide(c.x(0), [](const Value& x) { return ops::softplus(x); }));
}

}  // namespace

std::span<const Mapping> elementwise_mappings() {
  static constexpr Mapping table[] = {
      {"Abs", unary<ops::abs>},
      {"Acos", wide<ops::acos>, 7},
      {"Acosh", wide<ops::acosh>, 9},
      {"Add", binary<ops::add>},
      {"And", binary<ops::and_>},
      {"Asin", wide<ops::asin>, 7},
      {"Asinh", wide<ops::asinh>, 9},
      {"Atan", wide<ops::atan>, 7},
      {"Atanh", wide<ops::atanh>, 9},
      {"BitShift", bit_shift, 11},
      {"BitwiseAnd", binary<ops::and_>, 18},
      {"BitwiseNot", unary<ops::not_>, 18},
      {"BitwiseOr", binary<ops::or_>, 18},
      {"BitwiseXor", binary<ops::xor_>, 18},
      {"Ceil", unary<ops::ceil>},
      {"Celu", celu, 12},
      {"Clip", clip},
      {"Cos", unary<ops::cos>, 7},
      {"Cosh", wide<ops::cosh>, 9},
      {"Div", binary<ops::div>},
      {"Elu", elu},
      {"Equal", equal},
      {"Erf", unary<ops::erf>, 9},
      {"Exp", unary<ops::exp>},
      {"Floor", unary<ops::floor>},
      {"Gelu", gelu, 20},
      {"Greater", greater},
      {"GreaterOrEqual", greater_or_equal, 12},
      {"HardSigmoid", hard_sigmoid},
      {"HardSwish", wide<ops::hard_swish>, 14},
      {"Hardmax", hardmax},
      {"Identity", identity},
      {"IsInf", is_inf, 10},
      {"IsNaN", unary<ops::is_nan>, 9},
      {"LeakyRelu", leaky_relu},
      {"Less", less},
      {"LessOrEqual", less_or_equal, 12},
      {"Log", unary<ops::log>},
      {"Max", max},
      {"Mean", mean},
      {"Min", min},
      {"Mish", wide<ops::mish>, 18},
      {"Mod", mod, 10},
      {"Mul", binary<ops::mul>},
      {"Neg", unary<ops::neg>},
      {"Not", unary<ops::not_>},
      {"Or", binary<ops::or_>},
      {"PRelu", prelu},
      {"Pow", pow},
      {"Reciprocal", reciprocal},
      {"Relu", unary<ops::relu>},
      {"Round", unary<ops::round_even>, 11},
      {"Selu", selu},
      {"Shrink", shrink, 9},
      {"Sigmoid", unary<ops::logistic>},
      {"Sign", unary<ops::sign>, 9},
      {"Sin", unary<ops::sin>, 7},
      {"Sinh", wide<ops::sinh>, 9},
      {"Softplus", softplus},
      {"Softsign", wide<ops::softsign>},
      {"Sqrt", unary<ops::sqrt>},
      {"Sub", binary<ops::sub>},
      {"Sum", sum},
      {"Swish", swish, 24},
      {"Tan", unary<ops::tan>, 7},
      {"Tanh", unary<ops::tanh>},
      {"ThresholdedRelu", thresholded_relu, 10},
      {"Where", where, 9},
      {"Xor", binary<ops::xor_>},
  };
  return table;
}

}  // namespace trireme::formats::onnx
