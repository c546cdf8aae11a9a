// Arithmetic, logic, comparisons and conversions, element by element.
#include "trireme/base/strings.h"
#include "trireme/formats/stablehlo/call.h"

namespace trireme::formats::stablehlo {

namespace {

void require_numbers(const Call& c) {
  for (const Value& each : c.all()) c.require(each.dtype() != boolean, "is not defined for i1");
}

void require_equal_shapes(const Call& c) {
  for (int i = 1; i < c.inputs() && !c.elementwise(); ++i) {
    c.require(c.shape(i) == c.shape(0), cat("operands have shapes ", c.shape(0), " and ", c.shape(i)));
  }
}

template <Value (*op)(const Value&)>
void unary(Call& c) {
  c.require(c.inputs() == 1, "takes one operand");
  require_numbers(c);
  c.result(op(c.x(0)));
}

template <Value (*op)(const Value&, const Value&)>
void binary(Call& c) {
  c.require(c.inputs() == 2, "takes two operands");
  require_numbers(c);
  require_equal_shapes(c);
  c.require(c.dtype(0) == c.dtype(1), "operands have different element types");
  c.result(op(c.x(0), c.x(1)));
}

// Of i1, another op: i1 adds as or, multiplies as and.
template <Value (*op)(const Value&, const Value&), Value (*of_bools)(const Value&, const Value&)>
void binary_or(Call& c) {
  if (c.inputs() == 2 && c.dtype(0) == boolean && c.dtype(1) == boolean) {
    require_equal_shapes(c);
    c.result(of_bools(c.x(0), c.x(1)));
  } else {
    binary<op>(c);
  }
}

void logical_not(Call& c) { c.result(ops::not_(c.x(0))); }

// Half away from zero. x - trunc(x) is exact, so 0.49999997 does not become 1.
void round_away(Call& c) {
  const Value& x = c.x(0);
  const Value whole = ops::trunc(x);
  const Value half = ops::compare(ops::abs(x - whole), 0.5, "ge");
  c.result(whole + ops::select(half, ops::sign(x), 0.0));
}

// Integer x / 0 is all ones and x rem 0 is x, as XLA gives; the spec leaves both open.
void divide(Call& c) {
  if (!is_int(c.dtype(0))) return binary<ops::div>(c);
  binary<ops::div>(c);
  const Value zero = ops::compare(c.x(1), 0.0, "eq");
  const Value ones = ops::not_(ops::filled_like(c.x(0), 0.0));
  c.result(ops::select(zero, ones, c.made()[0]));
}

void remainder(Call& c) {
  binary<ops::rem>(c);
  if (is_int(c.dtype(0))) c.result(ops::select(ops::compare(c.x(1), 0.0, "eq"), c.x(0), c.made()[0]));
}

void compare(Call& c) {
  const std::string direction = c.word(0, "comparison_direction"), kind = c.word(1, "compare_type");
  c.require(c.inputs() == 2, "takes two operands");
  require_equal_shapes(c);
  c.require(c.dtype(0) == c.dtype(1), "operands have different element types");
  static constexpr std::pair<std::string_view, std::string_view> names[] = {{"EQ", "eq"}, {"NE", "ne"}, {"LT", "lt"},
                                                                            {"LE", "le"}, {"GT", "gt"}, {"GE", "ge"}};
  for (const auto& [theirs, ours] : names) {
    if (direction != theirs) continue;
    if (kind == "TOTALORDER" && is_float(c.dtype(0))) {
      return c.result(ops::compare(total_order(c.x(0)), total_order(c.x(1)), ours));
    }
    return c.result(ops::compare(c.x(0), c.x(1), ours));
  }
  c.invalid(cat("'", direction, "' is no direction; EQ, NE, LT, LE, GT and GE are"));
}

void select(Call& c) {
  c.require(c.inputs() == 3, "takes three operands");
  c.require(c.shape(1) == c.shape(2) || c.elementwise(), "the two choices have different shapes");
  c.require(c.dtype(1) == c.dtype(2), "the two choices have different element types");
  c.require(c.dtype(0) == boolean, "the predicate is not of i1");
  c.require(c.rank(0) == 0 || c.shape(0) == c.shape(1) || c.elementwise(), "the predicate has another shape");
  c.result(ops::select(c.x(0), c.x(1), c.x(2)));
}

void clamp(Call& c) {
  c.require(c.inputs() == 3, "takes three operands");
  for (int i : {0, 2}) {
    c.require(c.rank(i) == 0 || c.shape(i) == c.shape(1) || c.elementwise(), "a bound has another shape");
    c.require(c.dtype(i) == c.dtype(1), "a bound has another element type");
  }
  if (c.dtype(1) == boolean) {
    c.result(ops::and_(ops::or_(c.x(1), c.x(0)), c.x(2)));
  } else {
    c.result(ops::min(ops::max(c.x(1), c.x(0)), c.x(2)));
  }
}

void convert(Call& c) { c.result(ops::as_type(c.x(0), c.result_dtype())); }

void reduce_precision(Call& c) {
  int64_t exponent = 0, mantissa = 0;
  if (c.given("format")) {  // e5m10
    const std::string format = c.string("format");
    const size_t m = format.find('m');
    c.require(format.starts_with('e') && m != std::string::npos && format.size() < 16, "the format is not eNmN");
    exponent = std::atoi(format.c_str() + 1);
    mantissa = std::atoi(format.c_str() + m + 1);
  } else {
    exponent = c.integer("exponent_bits");
    mantissa = c.integer("mantissa_bits");
  }
  Value y = ops::reduce_precision(c.x(0), exponent, mantissa);
  // Without a bit that tells NaN from infinity, it is infinity.
  if (mantissa == 0) y = ops::select(ops::is_nan(c.x(0)), std::numeric_limits<double>::infinity(), y);
  c.result(y);
}

DType unsigned_of(DType type) {
  return size_of(type) == 1 ? u8 : size_of(type) == 2 ? u16 : size_of(type) == 4 ? u32 : u64;
}

// Between sizes, the parts of an element lie along a last axis, lowest bits first.
void bitcast(Call& c) {
  const Value& x = c.x(0);
  const DType from = x.dtype(), to = c.result_dtype();
  if (from == to) return c.result(x);
  if (from == boolean || to == boolean) c.unsupported("a bitcast of i1 is not supported");
  const size_t before = size_of(from), after = size_of(to);
  if (before == after) return c.result(ops::bitcast(x, to));
  const Value bits = from == unsigned_of(from) ? x : ops::bitcast(x, unsigned_of(from));
  const DType wide = before > after ? unsigned_of(from) : unsigned_of(to),
              narrow = before > after ? unsigned_of(to) : bits.dtype();
  const auto parts = static_cast<int64_t>(std::max(before, after) / std::min(before, after));
  const auto places = [&](int64_t part) {
    return ops::bit_pattern(wide, static_cast<uint64_t>(part) * std::min(before, after) * 8);
  };
  Value out;
  if (before > after) {
    std::vector<Value> list;
    for (int64_t k = 0; k < parts; ++k) {
      list.push_back(
          ops::unsqueeze(ops::convert(ops::shift_right_logical(bits, places(k)), narrow), {x.shape().rank()}));
    }
    out = ops::concat(list, x.shape().rank());
  } else {
    const int last = x.shape().rank() - 1;
    c.require(last >= 0 && x.shape()[last] == parts, cat("the last axis has not ", parts, " elements"));
    for (int64_t k = 0; k < parts; ++k) {
      const Value part = ops::convert(ops::slice_axis(bits, last, k, k + 1), wide);
      const Value shifted = ops::shift_left(part, places(k));
      out = !out ? shifted : ops::or_(out, shifted);
    }
    out = ops::squeeze(out, {last});
  }
  c.result(out.dtype() == to ? out : ops::bitcast(out, to));
}

void real(Call& c) { c.result(c.x(0)); }
void imag(Call& c) { c.result(ops::filled_like(c.x(0), 0.0)); }

void barrier(Call& c) {
  for (int i = 0; i < c.inputs(); ++i) c.result(i, ops::optimization_barrier(c.x(i)));
}

constexpr Mapping kMappings[] = {
    {"stablehlo.abs", unary<ops::abs>, true},
    {"stablehlo.add", binary_or<ops::add, ops::or_>, true},
    {"stablehlo.and", binary_or<ops::and_, ops::and_>, true},
    {"stablehlo.atan2", binary<ops::atan2>, true},
    {"stablehlo.bitcast_convert", bitcast, true},
    {"stablehlo.cbrt", unary<ops::cbrt>, true},
    {"stablehlo.ceil", unary<ops::ceil>, true},
    {"stablehlo.clamp", clamp, true},
    {"stablehlo.compare", compare, true},
    {"stablehlo.convert", convert, true},
    {"stablehlo.cosine", unary<ops::cos>, true},
    {"stablehlo.count_leading_zeros", unary<ops::clz>, true},
    {"stablehlo.divide", divide, true},
    {"stablehlo.exponential", unary<ops::exp>, true},
    {"stablehlo.exponential_minus_one", unary<ops::expm1>, true},
    {"stablehlo.floor", unary<ops::floor>, true},
    {"stablehlo.imag", imag, true},
    {"stablehlo.is_finite", unary<ops::is_finite>, true},
    {"stablehlo.log", unary<ops::log>, true},
    {"stablehlo.log_plus_one", unary<ops::log1p>, true},
    {"stablehlo.logistic", unary<ops::logistic>, true},
    {"stablehlo.maximum", binary_or<ops::max, ops::or_>, true},
    {"stablehlo.minimum", binary_or<ops::min, ops::and_>, true},
    {"stablehlo.multiply", binary_or<ops::mul, ops::and_>, true},
    {"stablehlo.negate", unary<ops::neg>, true},
    {"stablehlo.not", logical_not, true},
    {"stablehlo.optimization_barrier", barrier, true},
    {"stablehlo.or", binary_or<ops::or_, ops::or_>, true},
    {"stablehlo.popcnt", unary<ops::popcount>, true},
    {"stablehlo.power", binary<ops::pow>, true},
    {"stablehlo.real", real, true},
    {"stablehlo.reduce_precision", reduce_precision, true},
    {"stablehlo.remainder", remainder, true},
    {"stablehlo.round_nearest_afz", round_away, true},
    {"stablehlo.round_nearest_even", unary<ops::round_even>, true},
    {"stablehlo.rsqrt", unary<ops::rsqrt>, true},
    {"stablehlo.select", select, true},
    {"stablehlo.shift_left", binary<ops::shift_left>, true},
    {"stablehlo.shift_right_arithmetic", binary<ops::shift_right_arith>, true},
    {"stablehlo.shift_right_logical", binary<ops::shift_right_logical>, true},
    {"stablehlo.sign", unary<ops::sign>, true},
    {"stablehlo.sine", unary<ops::sin>, true},
    {"stablehlo.sqrt", unary<ops::sqrt>, true},
    {"stablehlo.subtract", binary<ops::sub>, true},
    {"stablehlo.tan", unary<ops::tan>, true},
    {"stablehlo.tanh", unary<ops::tanh>, true},
    {"stablehlo.xor", binary_or<ops::xor_, ops::xor_>, true},
};

}  // namespace

std::span<const Mapping> elementwise_mappings() { return kMappings; }

Value total_order(const Value& x) {
  const DType type = size_of(x.dtype()) == 8 ? i64 : size_of(x.dtype()) == 4 ? i32 : i16;
  const Value bits = ops::bitcast(x, type);
  return ops::select(ops::compare(bits, 0.0, "lt"),
                     ops::xor_(bits, ops::constant(Literal::filled(type, {}, highest(type)))), bits);
}

}  // namespace trireme::formats::stablehlo
