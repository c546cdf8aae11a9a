// Arithmetic, comparisons, logic, conversions and activations, element by element.
#include <algorithm>
#include <cmath>
#include <limits>

#include "trireme/formats/onnx/emit.h"

namespace trireme::formats::onnx {

namespace {

// One operator for flags, one for the bits of integers.
template <const char* const* kNames>
bool logic(Emit& e) {
  Names operands;
  for (int i = 0; i < e.inputs(); ++i) operands.push_back(e.in(i));
  e.give(kNames[e.type() == boolean ? 0 : 1], operands);
  return true;
}
constexpr const char* kAnd[] = {"And", "BitwiseAnd"};
constexpr const char* kOr[] = {"Or", "BitwiseOr"};
constexpr const char* kXor[] = {"Xor", "BitwiseXor"};
constexpr const char* kNot[] = {"Not", "BitwiseNot"};

bool neg(Emit& e) {
  if (is_unsigned_int(e.type())) e.give("Sub", {e.scalar(0), e.in(0)});
  else e.give("Neg", {e.in(0)});
  return true;
}

bool rsqrt(Emit& e) {
  e.give("Reciprocal", {e.add("Sqrt", {e.in(0)})});
  return true;
}

// The low 64 bits of a power are the same with and without a sign. 0 to a negative power is 0.
bool power(Emit& e) {
  const DType type = e.type() == u64 ? i64 : e.type();
  const std::string x = e.cast(e.in(0), e.type(), type), w = e.cast(e.in(1), e.type(), type);
  std::string result = e.add("Pow", {x, w});
  if (!is_float(type) && !e.known_within(1, 0, INFINITY)) {
    const std::string zero = e.scalar(type, 0);
    const std::string open = e.add("And", {e.add("Equal", {x, zero}), e.add("Less", {w, zero})});
    result = e.add("Where", {open, zero, result});
  }
  e.give(e.cast(result, type, e.type()));
  return true;
}

bool is_finite(Emit& e) {
  const std::string x = e.in(0);
  e.give("Not", {e.add("Or", {e.add("IsInf", {x}), e.add("IsNaN", {x})})});
  return true;
}

// Integers: what ONNX leaves open is stated. x / 0 = 0, lowest / -1 = lowest, x rem 0 = 0, x rem -1 = 0.
template <bool kRemainder>
bool divide(Emit& e) {
  const std::string x = e.in(0), w = e.in(1);
  const Properties properties = kRemainder ? Properties{{"fmod", int64_t{1}}} : Properties{};
  const char* op = kRemainder ? "Mod" : "Div";
  const std::optional<Literal> divisor = e.known(1);
  bool plain = is_float(e.type()) || divisor;
  if (plain && !is_float(e.type())) {
    for (const double each : divisor->to_doubles()) plain = plain && each != 0 && each != -1;
  }
  if (plain) {
    e.give(op, {x, w}, properties);
    return true;
  }
  const std::string zero = e.scalar(0), one = e.scalar(1);
  const std::string by_zero = e.add("Equal", {w, zero});
  std::string unsafe = by_zero, by_minus_one;
  if (is_signed_int(e.type())) {
    by_minus_one = e.add("Equal", {w, e.scalar(-1)});
    unsafe = e.add("Or", {by_zero, by_minus_one});
  }
  std::string result = e.add(op, {x, e.add("Where", {unsafe, one, w})}, properties);
  if (!by_minus_one.empty() && !kRemainder) {
    result = e.add("Where", {by_minus_one, e.add("Sub", {zero, x}), result});
  }
  e.give("Where", {by_zero, zero, result});
  return true;
}

bool compare(Emit& e) {
  const std::string& relation = e.string("kind");
  const std::string x = e.in(0), w = e.in(1);
  if (relation == "eq") e.give("Equal", {x, w});
  else if (relation == "ne") e.give("Not", {e.add("Equal", {x, w})});
  else if (relation == "lt") e.give("Less", {x, w});
  else if (relation == "le") e.give("LessOrEqual", {x, w});
  else if (relation == "gt") e.give("Greater", {x, w});
  else e.give("GreaterOrEqual", {x, w});
  return true;
}

DType unsigned_of(DType type) {
  switch (size_of(type)) {
    case 1: return u8;
    case 2: return u16;
    case 4: return u32;
    default: return u64;
  }
}

// ONNX shifts unsigned integers by less than their bits.
bool shift(Emit& e, const char* direction) {
  const DType type = e.type(), bits = unsigned_of(type);
  const double limit = 8.0 * static_cast<double>(size_of(type));
  const auto as_bits = [&](const std::string& value) { return type == bits ? value : e.cast(value, type, bits); };
  const auto shifted = [&](const std::string& amount) {
    const std::string moved = e.add("BitShift", {as_bits(e.in(0)), amount}, {{"direction", std::string(direction)}});
    return type == bits ? moved : e.cast(moved, bits, type);
  };
  const std::string amount = as_bits(e.in(1));
  if (e.known_within(1, 0, limit - 1)) {
    e.give(shifted(amount));
    return true;
  }
  // A negative amount is a large one in unsigned bits.
  const std::string inside = e.add("Less", {amount, e.scalar(bits, limit)});
  e.give("Where", {inside, shifted(e.add("Where", {inside, amount, e.scalar(bits, 0)})), e.scalar(0)});
  return true;
}
bool shift_left(Emit& e) { return shift(e, "LEFT"); }
bool shift_right(Emit& e) { return shift(e, "RIGHT"); }

// ONNX leaves open what becomes of floats beyond an integer's range; here it is the nearest integer, and 0 of NaN.
bool convert(Emit& e) {
  const DType from = e.type(), to = e.y().dtype();
  const std::string x = e.in(0);
  if (!is_float(from) || !is_int(to) || e.known_within(0, lowest(to), highest(to) / 2)) {
    e.give(e.cast(x, from, to));
    return true;
  }
  const double beyond = std::ldexp(1.0, 8 * static_cast<int>(size_of(to)) - (is_signed_int(to) ? 1 : 0));
  const bool holds_last = beyond * unit_roundoff(from) <= 1.0;  // beyond - 1 is a float
  const double last = std::min(holds_last ? beyond - 1 : beyond * (1 - unit_roundoff(from)), highest(from));
  const std::string number = e.add("Where", {e.add("IsNaN", {x}), e.scalar(0), x});
  const std::string within = e.add("Clip", {number, e.scalar(std::max(lowest(to), lowest(from))), e.scalar(last)});
  const std::string truncated = e.cast(within, from, to);
  if (holds_last) {
    e.give(truncated);
    return true;
  }
  const Literal most = visit_dtype(to, []<class T>() {
    if constexpr (std::is_integral_v<T>) return Literal::scalar(std::numeric_limits<T>::max());
    else return Literal::zeros(dtype_of<T>(), {});  // not asked for
  });
  e.give("Where", {e.add("GreaterOrEqual", {x, e.scalar(beyond)}), e.constant(most), truncated});
  return true;
}

// To f16 and bf16 and back; ONNX has no operator for other formats.
bool reduce_precision(Emit& e) {
  const int64_t exponent = e.integer("exponent_bits"), mantissa = e.integer("mantissa_bits");
  const DType narrow = exponent == 5 && mantissa == 10 ? f16 : exponent == 8 && mantissa == 7 ? bf16 : f64;
  if (narrow == f64) return false;
  e.give(e.cast(e.cast(e.in(0), e.type(), narrow), narrow, e.type()));
  return true;
}

bool clamp(Emit& e) {
  const double low = e.number("low"), high = e.number("high");
  const auto limit = [&](double value) { return std::isinf(value) ? std::string() : e.scalar(value); };
  if (std::isnan(low) || std::isnan(high) || low > high) return false;
  e.give("Clip", {e.in(0), limit(low), limit(high)});
  return true;
}

// One attribute under another name, where a 32-bit float holds it.
bool with_number(Emit& e, const char* op, const char* ours, const char* theirs) {
  if (!e.holds(e.number(ours))) return false;
  e.give(op, {e.in(0)}, {{theirs, e.number(ours)}});
  return true;
}
bool leaky_relu(Emit& e) { return with_number(e, "LeakyRelu", "slope", "alpha"); }
bool elu(Emit& e) { return with_number(e, "Elu", "alpha", "alpha"); }
bool celu(Emit& e) { return with_number(e, "Celu", "alpha", "alpha"); }

bool selu(Emit& e) {
  if (e.type() == f64) return false;
  e.give("Selu", {e.in(0)}, {{"alpha", 1.6732632423543772}, {"gamma", 1.0507009873554805}});
  return true;
}

bool hard_sigmoid(Emit& e) {
  if (!e.holds(e.number("slope")) || !e.holds(e.number("offset"))) return false;
  e.give("HardSigmoid", {e.in(0)}, {{"alpha", e.number("slope")}, {"beta", e.number("offset")}});
  return true;
}

bool gelu(Emit& e) {
  e.give("Gelu", {e.in(0)}, {{"approximate", e.string("approximate")}});
  return true;
}

bool softplus(Emit& e) {
  if (e.number("beta") != 1.0) return false;
  e.give("Softplus", {e.in(0)});
  return true;
}

bool prelu(Emit& e) {
  std::string slope = e.in(1);
  if (e.shape(1).elements() > 1) {
    Ints sizes(static_cast<size_t>(e.shape(0).rank()), 1);
    sizes[1] = e.shape(1).elements();
    slope = e.reshape(slope, sizes);
  } else if (e.shape(0).rank() == 0) {
    slope = e.reshape(slope, {});
  }
  e.give("PRelu", {e.in(0), slope});
  return true;
}

}  // namespace

std::span<const ExportRule> elementwise_export_rules() {
  static constexpr DTypeSet signed_numbers = floats | signed_ints;
  static const ExportRule rules[] = {
      {"abs", "Abs", numbers},
      {"acos", "Acos", floats_but_bf16},
      {"acosh", "Acosh", floats_but_bf16},
      {"add", "Add", numbers},
      {"and", {}, any_dtype, logic<kAnd>},
      {"asin", "Asin", floats_but_bf16},
      {"asinh", "Asinh", floats_but_bf16},
      {"atan", "Atan", floats_but_bf16},
      {"atanh", "Atanh", floats_but_bf16},
      {"ceil", "Ceil", floats},
      {"celu", {}, only(f32), celu},
      {"clamp", {}, numbers, clamp},
      {"compare", {}, numbers, compare},
      {"convert", {}, any_dtype, convert},
      {"cos", "Cos", floats_but_bf16},
      {"cosh", "Cosh", floats_but_bf16},
      {"div", {}, numbers, divide<false>},
      {"elu", {}, floats_but_bf16, elu},
      {"erf", "Erf", floats},
      {"exp", "Exp", floats},
      {"floor", "Floor", floats},
      {"gelu", {}, only(f32) | only(f16) | only(bf16), gelu},  // runtimes hold its constants in 32 bits
      {"hard_sigmoid", {}, floats_but_bf16, hard_sigmoid},
      {"hard_swish", "HardSwish", only(f32) | only(f16)},
      {"is_finite", {}, floats, is_finite},
      {"is_inf", "IsInf", floats},
      {"is_nan", "IsNaN", floats},
      {"leaky_relu", {}, floats, leaky_relu},
      {"log", "Log", floats},
      {"logistic", "Sigmoid", floats},
      {"max", "Max", numbers},
      {"min", "Min", numbers},
      {"mish", "Mish", floats_but_bf16},
      {"mul", "Mul", numbers},
      {"neg", {}, numbers, neg},
      {"not", {}, any_dtype, logic<kNot>},
      {"or", {}, any_dtype, logic<kOr>},
      {"pow", {}, floats | only(i32) | only(i64) | only(u64), power},
      {"prelu", {}, floats, prelu},
      {"reciprocal", "Reciprocal", floats},
      {"reduce_precision", {}, floats, reduce_precision},
      {"relu", "Relu", signed_numbers},
      {"rem", {}, numbers, divide<true>},
      {"round_even", "Round", floats_but_bf16},
      {"rsqrt", {}, floats, rsqrt},
      {"select", "Where"},
      {"selu", {}, floats_but_bf16, selu},
      {"shift_left", {}, ints, shift_left},
      {"shift_right_logical", {}, ints, shift_right},
      {"sign", "Sign", numbers},
      {"sin", "Sin", floats_but_bf16},
      {"sinh", "Sinh", floats_but_bf16},
      {"softplus", {}, floats_but_bf16, softplus},
      {"softsign", "Softsign", floats_but_bf16},
      {"sqrt", "Sqrt", floats},
      {"sub", "Sub", numbers},
      {"tan", "Tan", floats_but_bf16},
      {"tanh", "Tanh", floats},
      {"xor", {}, any_dtype, logic<kXor>},
  };
  return rules;
}

}  // namespace trireme::formats::onnx
