// Ops of the dialect chlo: functions that StableHLO itself is to be spared. Those without an op of ours are computed in
// f64, by formulas that need no tables.
#include <cmath>
#include <numbers>

#include "trireme/base/strings.h"
#include "trireme/formats/stablehlo/call.h"

namespace trireme::formats::stablehlo {

namespace {

constexpr double kPi = std::numbers::pi;

const Value& float_operand(const Call& c) {
  c.require(c.inputs() == 1 && is_float(c.dtype(0)), "takes one operand of a floating type");
  return c.x(0);
}

template <Value (*op)(const Value&)>
void unary(Call& c) {
  c.result(op(float_operand(c)));
}

template <Value (*op)(const Value&)>
void unary_in_f64(Call& c) {
  const Value& x = float_operand(c);
  c.result(ops::as_type(op(ops::as_type(x, f64)), x.dtype()));
}

// log |Gamma(x)|: Stirling's series from 10 on, below that by Gamma(x) = Gamma(x + n) / (x (x + 1) ...), left of 1/2 by
// reflection.
Value log_gamma(const Value& x) {
  constexpr int kSteps = 10;
  const Value left = ops::compare(x, 0.5, "lt");
  const Value y = ops::select(left, 1.0 - x, x);
  Value product = ops::filled_like(y, 1.0), z = y;
  for (int i = 0; i < kSteps; ++i) {
    const Value small = ops::compare(z, static_cast<double>(kSteps), "lt");
    product = ops::select(small, product * z, product);
    z = ops::select(small, z + 1.0, z);
  }
  const Value inverse = 1.0 / z;
  const Value tail =
      inverse * ops::polynomial(inverse * inverse, {1.0 / 12, -1.0 / 360, 1.0 / 1260, -1.0 / 1680, 1.0 / 1188,
                                                    -691.0 / 360360, 1.0 / 156, -3617.0 / 122400});
  const Value log_z = ops::log(z);
  Value right = (z - 0.5) * (log_z - 1.0) + (0.5 * std::log(2 * kPi) - 0.5) + tail - ops::log(product);
  const double infinity = std::numeric_limits<double>::infinity();
  right = ops::select(ops::compare(y, infinity, "eq"), y, right);
  // |sin(pi x)| of the distance to the nearest integer, which is exact.
  const Value distance = ops::abs(x - ops::round_even(x));
  const Value reflected = std::log(kPi) - ops::log(ops::sin(distance * kPi)) - right;
  return ops::select(left, ops::select(ops::compare(ops::abs(x), infinity, "eq"), ops::abs(x), reflected), right);
}

// The derivative of log Gamma, the same way.
Value digamma(const Value& x) {
  constexpr int kSteps = 10;
  const Value left = ops::compare(x, 0.5, "lt");
  Value z = ops::select(left, 1.0 - x, x), sum = ops::filled_like(x, 0.0);
  for (int i = 0; i < kSteps; ++i) {
    const Value small = ops::compare(z, static_cast<double>(kSteps), "lt");
    sum = ops::select(small, sum - 1.0 / z, sum);
    z = ops::select(small, z + 1.0, z);
  }
  const Value inverse = 1.0 / z, square = inverse * inverse;
  const Value series =
      ops::polynomial(square, {1.0 / 12, -1.0 / 120, 1.0 / 252, -1.0 / 240, 1.0 / 132, -691.0 / 32760});
  const Value right = sum + ops::log(z) - inverse * 0.5 - square * series;
  const Value off = x - ops::round_even(x);
  const Value pole = ops::compare(off, 0.0, "eq");
  const Value reflected = right - kPi / ops::tan(off * kPi);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  return ops::select(left, ops::select(pole, nan, reflected), right);
}

// exp(-|x|) I1(x). Near 0 the integral over the circle, whose trapezoidal sum converges as fast as anything can; far
// from it the asymptotic series.
Value bessel_i1e(const Value& x) {
  constexpr int kPoints = 64, kTerms = 14;
  constexpr double kFar = 24.0;
  const Value a = ops::abs(x), near = ops::min(a, kFar), far = ops::max(a, kFar);
  Value sum = (1.0 - ops::exp(near * -2.0)) * (1.0 / kPoints);
  for (int k = 1; k < kPoints / 2; ++k) {
    const double cosine = std::cos(2 * kPi * k / kPoints);
    sum = sum + ops::exp(near * (cosine - 1.0)) * (2.0 * cosine / kPoints);
  }
  Value series = ops::filled_like(x, 1.0), term = series;
  for (int n = 1; n <= kTerms; ++n) {
    const double odd = 2.0 * n - 1.0;
    term = term * (-(4.0 - odd * odd) / (8.0 * n)) / far;
    series = series + term;
  }
  series = series / ops::sqrt(far * (2 * kPi));
  const Value out = ops::select(ops::compare(a, kFar, "le"), sum, series);
  return ops::select(ops::compare(x, 0.0, "lt"), -out, out);
}

// The next representable value from x towards y: one step in the order of the bits.
void next_after(Call& c) {
  c.require(c.inputs() == 2 && c.dtype(0) == c.dtype(1) && is_float(c.dtype(0)),
            "takes two operands of one float type");
  const Value &x = c.x(0), &y = c.x(1);
  const DType type = x.dtype(), whole = size_of(type) == 8 ? i64 : size_of(type) == 4 ? i32 : i16;
  const Value bits = ops::bitcast(x, whole);
  // Away from 0 the bits grow, whatever the sign.
  const Value grows = ops::logical_xor(ops::compare(x, 0.0, "lt"), ops::compare(x, y, "lt"));
  const Value step = ops::bitcast(ops::select(grows, bits + 1.0, bits - 1.0), type);
  const Value smallest = ops::bitcast(ops::scalar(whole, 1.0), type);
  const Value from_zero = ops::select(ops::compare(y, 0.0, "lt"), -smallest, smallest);
  Value out = ops::select(ops::compare(x, 0.0, "eq"), from_zero, step);
  out = ops::select(ops::compare(x, y, "eq"), y, out);
  const Value lost = ops::logical_or(ops::compare(x, x, "ne"), ops::compare(y, y, "ne"));
  c.result(ops::select(lost, std::numeric_limits<double>::quiet_NaN(), out));
}

// The high half of the product.
void mulhi(Call& c) {
  c.require(c.inputs() == 2 && c.dtype(0) == c.dtype(1) && is_int(c.dtype(0)),
            "takes two operands of one integer type");
  c.require(c.shape(0) == c.shape(1), "the operands have different shapes");
  const DType type = c.dtype(0);
  const int bits = static_cast<int>(size_of(type)) * 8;
  if (bits < 64) {
    const DType wide = is_signed_int(type) ? i64 : u64;
    const Value product = ops::convert(c.x(0), wide) * ops::convert(c.x(1), wide);
    const Value places = ops::scalar(wide, bits);
    const Value high =
        wide == i64 ? ops::shift_right_arith(product, places) : ops::shift_right_logical(product, places);
    return c.result(ops::convert(high, type));
  }
  // Of unsigned halves; then what the signs take away.
  const auto bare = [](const Value& x) { return x.dtype() == u64 ? x : ops::bitcast(x, u64); };
  const Value a = bare(c.x(0)), b = bare(c.x(1)), half = ops::bit_pattern(u64, 32);
  const auto low = [&](const Value& x) { return ops::and_(x, ops::bit_pattern(u64, 0xFFFFFFFF)); };
  const auto high = [&](const Value& x) { return ops::shift_right_logical(x, half); };
  const Value first = high(low(a) * low(b)), second = high(a) * low(b) + first;
  const Value third = low(second) + low(a) * high(b);
  Value out = high(a) * high(b) + high(second) + high(third);
  if (type == i64) {
    const Value zero = ops::bit_pattern(u64, 0);
    out = out - ops::select(ops::compare(c.x(0), 0.0, "lt"), b, zero) -
          ops::select(ops::compare(c.x(1), 0.0, "lt"), a, zero);
    out = ops::bitcast(out, i64);
  }
  c.result(out);
}

constexpr Mapping kMappings[] = {
    {"chlo.acos", unary<ops::acos>, true},
    {"chlo.acosh", unary<ops::acosh>, true},
    {"chlo.asin", unary<ops::asin>, true},
    {"chlo.asinh", unary<ops::asinh>, true},
    {"chlo.atan", unary<ops::atan>, true},
    {"chlo.atanh", unary<ops::atanh>, true},
    {"chlo.bessel_i1e", unary_in_f64<bessel_i1e>, true},
    {"chlo.cosh", unary<ops::cosh>, true},
    {"chlo.digamma", unary_in_f64<digamma>, true},
    {"chlo.erf", unary<ops::erf>, true},
    {"chlo.erf_inv", unary<ops::erfinv>, true},
    {"chlo.erfc", unary<ops::erfc>, true},
    {"chlo.lgamma", unary_in_f64<log_gamma>, true},
    {"chlo.mulhi", mulhi, true},
    {"chlo.next_after", next_after, true},
    {"chlo.sinh", unary<ops::sinh>, true},
    {"chlo.square", unary<ops::square>, true},
    {"chlo.tan", unary<ops::tan>, true},
};

}  // namespace

std::span<const Mapping> special_mappings() { return kMappings; }

}  // namespace trireme::formats::stablehlo
