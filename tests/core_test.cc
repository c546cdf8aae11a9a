// Element types, promotion, 16-bit floats, literals, shapes, Philox: exhaustively where the sets are finite, against
// slow exact methods written from the definitions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/core/float16.h"
#include "trireme/core/literal.h"
#include "trireme/core/philox.h"
#include "trireme/core/shape.h"

namespace trireme {
namespace {

using ::testing::HasSubstr;

// --- promotion -----------------------------------------------------------------------------------------------------

// Can every value of `a` be held by `b` exactly? From ranges and precisions, not from the table.
int precision(DType t) {  // bits of a whole number that is held exactly
  switch (t) {
    case f64: return 53;
    case f32: return 24;
    case f16: return 11;
    case bf16: return 8;
    default: return static_cast<int>(size_of(t)) * 8 - (is_signed_int(t) ? 1 : 0);
  }
}
int exponent_bits(DType t) { return t == f64 ? 11 : t == f16 ? 5 : 8; }
bool holds(DType b, DType a) {
  if (a == b || a == boolean) return true;
  if (b == boolean) return false;
  if (is_float(a)) return is_float(b) && precision(b) >= precision(a) && exponent_bits(b) >= exponent_bits(a);
  if (is_float(b)) return false;  // not asked: rule 3 lets the float win whatever its precision
  if (is_signed_int(a) && is_unsigned_int(b)) return false;
  return precision(b) >= precision(a);
}

TEST(Promotion, FollowsTheRulesForEveryPair) {
  for (DType a : kAllDTypes) {
    for (DType b : kAllDTypes) {
      const DType c = promote(a, b);
      SCOPED_TRACE(cat(a, " with ", b, " gives ", c));
      EXPECT_EQ(c, promote(b, a)) << "the order does not matter";
      if (a == b) {
        EXPECT_EQ(c, a);
      } else if (a == boolean || b == boolean) {
        EXPECT_EQ(c, a == boolean ? b : a);
      } else if (is_float(a) != is_float(b)) {
        EXPECT_EQ(c, is_float(a) ? a : b);
      } else if ((a == u64 && is_signed_int(b)) || (b == u64 && is_signed_int(a))) {
        EXPECT_EQ(c, f32);
      } else {
        // The smallest type of the same class that holds both.
        EXPECT_TRUE(holds(c, a) && holds(c, b));
        for (DType smaller : kAllDTypes) {
          const bool candidate =
              is_float(smaller) == is_float(a) && smaller != boolean && size_of(smaller) < size_of(c);
          EXPECT_FALSE(candidate && holds(smaller, a) && holds(smaller, b)) << name(smaller) << " would do";
        }
      }
    }
  }
}

TEST(Promotion, IsAssociativeAmongFloatsAndAmongSigned) {
  for (DTypeSet set : {floats, signed_ints, unsigned_ints}) {
    for (DType a : kAllDTypes)
      for (DType b : kAllDTypes)
        for (DType c : kAllDTypes)
          if (set.has(a) && set.has(b) && set.has(c)) {
            EXPECT_EQ(promote(promote(a, b), c), promote(a, promote(b, c))) << name(a) << name(b) << name(c);
          }
  }
}

TEST(DTypes, NamesReadBack) {
  for (DType t : kAllDTypes) EXPECT_EQ(parse_dtype(name(t)), t);
  try {
    parse_dtype("bfloat16");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr("'bfloat16'"));
    EXPECT_THAT(error.what(), HasSubstr("did you mean 'bf16'"));
  }
  try {
    parse_dtype("quaternion");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("known types: f64, f32"));
  }
}

TEST(DTypes, LimitsMatchTheStandardLibrary) {
  EXPECT_EQ(highest(f64), std::numeric_limits<double>::max());
  EXPECT_EQ(highest(f32), static_cast<double>(std::numeric_limits<float>::max()));
  EXPECT_EQ(highest(f16), 65504.0);
  EXPECT_EQ(highest(bf16), std::ldexp(255.0, 120));
  EXPECT_EQ(lowest(i8), -128.0);
  EXPECT_EQ(highest(u8), 255.0);
  EXPECT_EQ(lowest(u64), 0.0);
  EXPECT_EQ(highest(i32), 2147483647.0);
  EXPECT_EQ(unit_roundoff(f32), std::numeric_limits<float>::epsilon() / 2.0);
  EXPECT_EQ(unit_roundoff(f64), std::numeric_limits<double>::epsilon() / 2.0);
}

// --- 16-bit floats -------------------------------------------------------------------------------------------------

struct Format {
  int exponent_bits, mantissa_bits;
};
constexpr Format kHalf{5, 10}, kBrain{8, 7};

// The value of a bit pattern from the definition of the format.
double value_of(Format f, uint16_t bits) {
  const int bias = (1 << (f.exponent_bits - 1)) - 1;
  const int exponent = (bits >> f.mantissa_bits) & ((1 << f.exponent_bits) - 1);
  const int mantissa = bits & ((1 << f.mantissa_bits) - 1);
  const double sign = bits & 0x8000 ? -1.0 : 1.0;
  if (exponent == (1 << f.exponent_bits) - 1) {
    return mantissa ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
  }
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - f.mantissa_bits);
  return sign * std::ldexp((1 << f.mantissa_bits) + mantissa, exponent - bias - f.mantissa_bits);
}

// Nearest pattern to a number, ties to the even one: by search among all patterns of that sign. Slow and plain.
uint16_t nearest_pattern(Format f, double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double size = std::fabs(value);
  const auto infinity = static_cast<uint16_t>(((1 << f.exponent_bits) - 1) << f.mantissa_bits);
  // Positive patterns are ordered like their values.
  uint16_t low = 0, high = infinity;
  while (high - low > 1) {
    const auto middle = static_cast<uint16_t>((low + high) / 2);
    (value_of(f, middle) <= size ? low : high) = middle;
  }
  const double below = value_of(f, low);
  // Infinity rounds as if it were the next number after the largest.
  const double above = high == infinity ? 2 * value_of(f, static_cast<uint16_t>(infinity - 1)) -
                                              value_of(f, static_cast<uint16_t>(infinity - 2))
                                        : value_of(f, high);
  uint16_t nearest = low;
  if (size - below > above - size) nearest = high;
  else if (size - below == above - size) nearest = low % 2 == 0 ? low : high;
  return static_cast<uint16_t>(sign | nearest);
}

bool same_number(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

TEST(Half, EveryPatternReadsAsDefinedAndComesBack) {
  for (uint32_t pattern = 0; pattern <= 0xffff; ++pattern) {
    const auto bits = static_cast<uint16_t>(pattern);
    const float value = half_bits_to_float(bits);
    ASSERT_TRUE(same_number(value, value_of(kHalf, bits))) << pattern;
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(half_bits_to_float(float_to_half_bits(value)))) << pattern;
    } else {
      ASSERT_EQ(float_to_half_bits(value), bits);
      ASSERT_EQ(half_from_double(value).bits, bits);
    }
  }
}

TEST(Brain, EveryPatternReadsAsDefinedAndComesBack) {
  for (uint32_t pattern = 0; pattern <= 0xffff; ++pattern) {
    BFloat16 given;
    given.bits = static_cast<uint16_t>(pattern);
    const auto value = static_cast<float>(given);
    ASSERT_TRUE(same_number(value, value_of(kBrain, given.bits))) << pattern;
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(static_cast<float>(BFloat16(value)))) << pattern;
    } else {
      ASSERT_EQ(BFloat16(value).bits, given.bits);
      ASSERT_EQ(bfloat16_from_double(value).bits, given.bits);
    }
  }
}

// Around every pattern: the midpoint to the next one, and the numbers just beside the midpoint, in float and in double.
void check_rounding(Format f, auto from_float, auto from_double) {
  const auto infinity = static_cast<uint16_t>(((1 << f.exponent_bits) - 1) << f.mantissa_bits);
  for (uint16_t bits = 0; bits + 1 < infinity; ++bits) {
    const double low = value_of(f, bits), high = value_of(f, static_cast<uint16_t>(bits + 1));
    const double middle = low + (high - low) / 2;  // exact in double
    for (const double sign : {1.0, -1.0}) {
      for (const double near : {middle, std::nextafter(middle, low), std::nextafter(middle, high)}) {
        ASSERT_EQ(from_double(sign * near), nearest_pattern(f, sign * near)) << bits << " " << near;
      }
      const auto single = static_cast<float>(middle);  // the float nearest to it, and its neighbours
      for (const float near : {single, std::nextafterf(single, static_cast<float>(low)),
                               std::nextafterf(single, static_cast<float>(high))}) {
        const float signed_near = static_cast<float>(sign) * near;
        ASSERT_EQ(from_float(signed_near), nearest_pattern(f, signed_near)) << bits << " " << near;
      }
    }
  }
}

TEST(Half, RoundsToNearestEven) {
  check_rounding(
      kHalf, [](float v) { return float_to_half_bits(v); }, [](double v) { return half_from_double(v).bits; });
}
TEST(Brain, RoundsToNearestEven) {
  check_rounding(
      kBrain, [](float v) { return BFloat16(v).bits; }, [](double v) { return bfloat16_from_double(v).bits; });
}

TEST(Half, OverflowAndUnderflow) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double value : {65519.0, 65519.99, 65520.0, 65536.0, 1e10, 1e300, infinity, 0x1p-24, 0x1p-25, 0x1.8p-25,
                             0x1.0000001p-25, 1e-300, 0.0}) {
    for (const double sign : {1.0, -1.0}) {
      const uint16_t want = nearest_pattern(kHalf, sign * value);
      EXPECT_EQ(half_from_double(sign * value).bits, want) << value;
      EXPECT_EQ(float_to_half_bits(static_cast<float>(sign * value)),
                nearest_pattern(kHalf, static_cast<float>(sign * value)))
          << value;
    }
  }
  EXPECT_EQ(bfloat16_from_double(1e300).bits, 0x7f80);
  EXPECT_EQ(bfloat16_from_double(-1e300).bits, 0xff80);
  EXPECT_TRUE(std::isnan(static_cast<double>(half_from_double(std::nan("")))));
  EXPECT_TRUE(std::isnan(static_cast<double>(bfloat16_from_double(std::nan("")))));
  // A NaN whose payload lies in the low bits only must not become infinity.
  const auto low_payload = std::bit_cast<float>(0x7f800001u);
  EXPECT_TRUE(std::isnan(half_bits_to_float(float_to_half_bits(low_payload))));
  EXPECT_TRUE(std::isnan(static_cast<float>(BFloat16(low_payload))));
}

// --- literals ------------------------------------------------------------------------------------------------------

TEST(Literal, ConversionRules) {
  const std::vector<double> values = {-1e30, -129.5, -1.9,  -0.5,  0.0,  0.5,
                                      1.9,   127.5,  255.9, 300.0, 1e30, std::numeric_limits<double>::quiet_NaN()};
  const Shape shape{static_cast<int64_t>(values.size())};
  const Literal source = Literal::from_doubles(f64, shape, values);
  for (DType to : kAllDTypes) {
    if (is_float(to)) continue;
    const Literal got = Literal::from_doubles(to, shape, values);
    for (size_t i = 0; i < values.size(); ++i) {
      // Truncates toward zero and saturates; NaN gives 0; bool is != 0 (NaN is).
      double want = std::isnan(values[i]) ? 0.0 : std::clamp(std::trunc(values[i]), lowest(to), highest(to));
      if (to == boolean) want = values[i] != 0.0 ? 1.0 : 0.0;
      EXPECT_EQ(got.at(static_cast<int64_t>(i)), want) << name(to) << " from " << values[i];
    }
  }
}

TEST(Literal, IntegersWrap) {
  const std::vector<int64_t> values = {0,
                                       1,
                                       -1,
                                       127,
                                       128,
                                       255,
                                       256,
                                       65535,
                                       65536,
                                       -32769,
                                       2147483648,
                                       4294967296,
                                       std::numeric_limits<int64_t>::min(),
                                       std::numeric_limits<int64_t>::max()};
  const auto count = static_cast<int64_t>(values.size());
  for (DType to : kAllDTypes) {
    if (!is_int(to)) continue;
    Literal out = Literal::zeros(to, {count});
    convert_elements(i64, values.data(), to, out.mutable_data(), count);
    std::vector<int64_t> back(values.size());
    convert_elements(to, out.data(), i64, back.data(), count);
    for (size_t i = 0; i < values.size(); ++i) {
      // Equal modulo 2^bits, and inside the type's range.
      const int bits = static_cast<int>(size_of(to)) * 8;
      const uint64_t mask = bits == 64 ? ~0ull : (1ull << bits) - 1;
      EXPECT_EQ(static_cast<uint64_t>(back[i]) & mask, static_cast<uint64_t>(values[i]) & mask) << name(to);
      if (bits < 64) {
        EXPECT_GE(static_cast<double>(back[i]), lowest(to));
        EXPECT_LE(static_cast<double>(back[i]), highest(to));
      }
    }
  }
}

TEST(Literal, TextAndSharing) {
  const std::vector<float> values = {1, 2, 3, 4};
  const Literal literal = Literal::from(std::span<const float>(values), Shape{2, 2});
  EXPECT_EQ(literal.text(), "f32[2, 2] {1, 2, 3, 4}");
  EXPECT_EQ(literal.text(2), "f32[2, 2] {1, 2, ... 2 more}");
  EXPECT_EQ(Literal::scalar<uint64_t>(~0ull).text(), "u64[] {18446744073709551615}");
  EXPECT_EQ(Literal::scalar<int64_t>(std::numeric_limits<int64_t>::min()).text(), "i64[] {-9223372036854775808}");
  Literal copy = literal;
  EXPECT_EQ(copy.data(), literal.data()) << "copies share the bytes";
  EXPECT_THROW(copy.mutable_data(), Error) << "a shared literal is immutable";
  EXPECT_TRUE(copy.same_bytes(Literal::from_doubles(f32, {2, 2}, std::vector<double>{1, 2, 3, 4})));
  EXPECT_FALSE(copy.same_bytes(Literal::from_doubles(f32, {4}, std::vector<double>{1, 2, 3, 4})));
  EXPECT_FALSE(copy.same_bytes(Literal::from_doubles(f32, {2, 2}, std::vector<double>{1, 2, 3, 5})));
  EXPECT_THROW(Literal::from_doubles(f32, {3}, std::vector<double>{1, 2}), Error);
  EXPECT_EQ(Literal::zeros(f32, {0, 5}).elements(), 0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(Literal::zeros(i8, {3}).data()) % 64, 0u);
}

// --- shapes --------------------------------------------------------------------------------------------------------

TEST(Shape, Limits) {
  EXPECT_EQ(Shape({1, 1, 1, 1, 1, 1, 1, 1}).rank(), 8);
  const int64_t big = int64_t{1} << 47, huge = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(Shape({big}).elements(), big);
  const std::vector<std::vector<int64_t>> refused = {
      {1, 1, 1, 1, 1, 1, 1, 1, 1},  // nine axes
      {-1},
      {2, -5},
      {std::numeric_limits<int64_t>::min()},
      {huge},
      {huge, huge},
      {0, huge, huge},                       // no elements, but strides would overflow
      {int64_t{1} << 32, int64_t{1} << 32},  // 2^64 wraps to zero
      {int64_t{1} << 24, int64_t{1} << 24, 2},
      {3, big},
      std::vector<int64_t>(100000, 1),
  };
  for (const auto& sizes : refused) {
    try {
      const Shape shape(sizes);
      ADD_FAILURE() << "accepted " << shape.text();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument);
    }
  }
}

TEST(Shape, EditsAndText) {
  const Shape shape{2, 3, 4};
  EXPECT_EQ(shape.text(), "[2, 3, 4]");
  EXPECT_EQ(Shape{}.text(), "[]");
  EXPECT_EQ(Shape{}.elements(), 1);
  EXPECT_EQ(Shape({5, 0}).elements(), 0);
  EXPECT_EQ(shape.with(1, 7), Shape({2, 7, 4}));
  EXPECT_EQ(shape.inserted(0, 9), Shape({9, 2, 3, 4}));
  EXPECT_EQ(shape.inserted(3, 9), Shape({2, 3, 4, 9}));
  EXPECT_EQ(shape.without(1), Shape({2, 4}));
  EXPECT_FALSE(Shape({2, 3}) == Shape({2, 3, 1}));
  EXPECT_FALSE(Shape({2}) == Shape({3}));
}

TEST(Shape, DenseStrides) {
  const Strides strides = dense_strides({2, 3, 4});
  EXPECT_EQ(strides[0], 12);
  EXPECT_EQ(strides[1], 4);
  EXPECT_EQ(strides[2], 1);
  EXPECT_TRUE(is_dense({2, 3, 4}, strides));
  EXPECT_FALSE(is_dense({2, 3, 4}, Strides{12, 4, 2}));
  EXPECT_TRUE(is_dense({2, 1, 4}, Strides{4, 99, 1})) << "the stride of an axis of size 1 does not matter";
}

// Against the definition: align at the last axis; each pair equal or one of them 1.
TEST(Shape, BroadcastsLikeTheDefinition) {
  std::vector<Shape> shapes{Shape{}};
  for (int64_t a : {0, 1, 2, 3}) {
    shapes.push_back({a});
    for (int64_t b : {0, 1, 2, 3}) {
      shapes.push_back({a, b});
      for (int64_t c : {1, 2}) shapes.push_back({a, b, c});
    }
  }
  for (const Shape& a : shapes) {
    for (const Shape& b : shapes) {
      std::vector<int64_t> want;
      bool fits = true;
      const int rank = std::max(a.rank(), b.rank());
      for (int axis = 0; axis < rank; ++axis) {
        const int in_a = axis - (rank - a.rank()), in_b = axis - (rank - b.rank());
        const int64_t size_a = in_a < 0 ? 1 : a[in_a], size_b = in_b < 0 ? 1 : b[in_b];
        fits = fits && (size_a == size_b || size_a == 1 || size_b == 1);
        want.push_back(size_a == 1 ? size_b : size_a);
      }
      Shape got;
      ASSERT_EQ(broadcast_shapes(a, b, &got), fits) << a.text() << " with " << b.text();
      ASSERT_TRUE(!fits || got == Shape(want)) << a.text() << " with " << b.text();
    }
  }
}

// --- Philox --------------------------------------------------------------------------------------------------------

// Known answers of the Random123 distribution for philox4x32-10.
TEST(Philox, KnownAnswers) {
  using Block = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}), (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, WordsFollowTheBlocks) {
  const std::array<uint32_t, 4> state{11, 22, 33, 44};
  for (const uint64_t index : {uint64_t{0}, uint64_t{3}, uint64_t{4}, uint64_t{17}, (uint64_t{1} << 34) - 1,
                               uint64_t{1} << 34, (uint64_t{1} << 40) + 5}) {
    const uint64_t block = index / 4;
    const auto words = philox4x32({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), 33, 44}, {11, 22});
    EXPECT_EQ(philox_word(state, index), words[index % 4]) << index;
  }
}

// --- text helpers --------------------------------------------------------------------------------------------------

TEST(Strings, NumbersReadBack) {
  for (const double value : {0.1, 1e-5, 1.0 / 3.0, 5e-324, 1.7976931348623157e308, -0.0, 123456789.0}) {
    EXPECT_EQ(std::strtod(number_text(value).c_str(), nullptr), value);
  }
  EXPECT_EQ(number_text(0.1), "0.1");
  EXPECT_EQ(number_text(-std::numeric_limits<double>::infinity()), "-inf");
  EXPECT_EQ(number_text(std::nan("")), "nan");
}

TEST(Strings, NearestNameAndEditDistance) {
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("same", "same"), 0);
  const std::vector<std::string_view> known = {"softmax", "softplus", "matmul"};
  EXPECT_EQ(nearest_name("sofmax", known), "softmax");
  EXPECT_EQ(nearest_name("mamtul", known), "matmul");
  EXPECT_EQ(nearest_name("xyz", known), "") << "nothing near";
}

}  // namespace
}  // namespace trireme
