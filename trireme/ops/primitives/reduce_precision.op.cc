#include "trireme/ops/declare.h"

namespace trireme {

namespace {
// A float format with that many bits, laid out as in IEEE 754 (a bias of 2^(e-1)-1, denormals, infinities).
struct Format {
  int mantissa, lowest_exponent;
  double largest;
  Format(int64_t exponent_bits, int64_t mantissa_bits) : mantissa(static_cast<int>(mantissa_bits)) {
    const int bias = (1 << (exponent_bits - 1)) - 1;
    lowest_exponent = 1 - bias;
    largest = std::ldexp(2.0 - std::ldexp(1.0, -mantissa), bias);
  }
};

// The power of two below |x| comes from the exponent's bits; x in units of it, scaled by 2^mantissa, is rounded to an
// integer. All products are by powers of two, hence exact.
Values rounded_in_units(const Decompose& d) {
  const Value& x = d.x(0);
  const DType type = x.dtype();
  const Format format(d.integer("exponent_bits"), d.integer("mantissa_bits"));
  const DType words = ops::unsigned_type(type);
  const uint64_t exponent_field = type == f64   ? 0x7ff0000000000000
                                  : type == f32 ? 0x7f800000
                                  : type == f16 ? 0x7c00
                                                : 0x7f80;
  const int own_lowest = type == f64 ? -1022 : type == f16 ? -14 : -126;
  const Value power = ops::bitcast(ops::and_(ops::bitcast(x, words), ops::bit_pattern(words, exponent_field)), type);
  const Value unit = ops::max(power, std::ldexp(1.0, std::max(own_lowest, format.lowest_exponent)));
  const double scale = std::ldexp(1.0, format.mantissa);
  const Value rounded = ops::round_even(x / unit * scale) / scale * unit;
  const Value size = ops::abs(x);
  const Value too_large = ops::compare(ops::abs(rounded), std::min(format.largest, highest(type)), "gt");
  const Value infinite = ops::sign(x) * std::numeric_limits<double>::infinity();
  const Value finite = ops::compare(size, highest(type), "le");
  return ops::select(finite, ops::select(too_large, infinite, rounded), x);
}
}  // namespace

OpDecl reduce_precision_decl{
    .name = "reduce_precision",
    .doc =
        "x as a float format with fewer bits would hold it: rounded to nearest even to `mantissa_bits` and the range "
        "of "
        "`exponent_bits`, with denormals; too large gives infinity. (5, 10) is f16, (8, 7) is bf16.",
    .tier = Tier::kExpected,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"exponent_bits", required_int, "2 .. 11"}, {"mantissa_bits", required_int, "0 .. 52"}},
    .coerce = Coerce::kNone,
    .rules = {"exponent_bits is 2 .. 11", "mantissa_bits is 0 .. 52"},
    .infer =
        [](Infer& i) {
          i.require(1, i.integer("exponent_bits") >= 2 && i.integer("exponent_bits") <= 11);
          i.require(2, i.integer("mantissa_bits") >= 0 && i.integer("mantissa_bits") <= 52);
          i.output(i.dtype(0), i.shape(0));
        },
    // As of a conversion: the rounding is taken for the identity.
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy(); }),
    .meaning = elementwise(
        [](double x, const Evaluation& e) {
          if (!std::isfinite(x) || x == 0.0) return x;
          const Format format(e.integer("exponent_bits"), e.integer("mantissa_bits"));
          const int exponent = std::max(std::ilogb(x), format.lowest_exponent);
          const double rounded =
              std::ldexp(std::nearbyint(std::ldexp(x, format.mantissa - exponent)), exponent - format.mantissa);
          return std::fabs(rounded) > format.largest ? std::copysign(std::numeric_limits<double>::infinity(), x)
                                                     : rounded;
        },
        rounded_in_units),
    .accuracy = exact,
    .cost = flops_per_element(8),
    .cases = {"f32[33] exponent_bits=5 mantissa_bits=10 surrogate",
              "f32[33]:-1e30..1e30 exponent_bits=8 mantissa_bits=7 surrogate",
              "f64[33] exponent_bits=8 mantissa_bits=23 surrogate",
              "f32[33]:-1e-7..1e-7 exponent_bits=5 mantissa_bits=10 surrogate",
              "bf16[9] exponent_bits=4 mantissa_bits=3 surrogate", "f16[9] exponent_bits=5 mantissa_bits=2 surrogate",
              "f32[9]:-600..600 exponent_bits=4 mantissa_bits=3 surrogate",
              "[] exponent_bits=5 mantissa_bits=10 surrogate", "[0] exponent_bits=5 mantissa_bits=10 surrogate"},
    .rejects = {"1: [3] exponent_bits=1 mantissa_bits=7", "1: [3] exponent_bits=12 mantissa_bits=7",
                "2: [3] exponent_bits=8 mantissa_bits=-1", "2: [3] exponent_bits=8 mantissa_bits=53"},
};

}  // namespace trireme
