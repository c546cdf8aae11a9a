// Conversions between element types, also to those that are carried in a wider one.
#include <charconv>
#include <cstdlib>

#include "trireme/base/strings.h"
#include "trireme/formats/onnx/call.h"
#include "trireme/formats/onnx/ops/quantization.h"

namespace trireme::formats::onnx {

namespace {

// What a cast to a small float gives where the number is too large.
enum class Beyond : uint8_t { kLargest, kInfinity, kNan };

struct SmallFormat {
  int mantissa, least_exponent;
  double largest;
  bool negative_zero;
  Beyond unsaturated;         // of too large numbers and infinities, without saturation
  Beyond saturated_infinity;  // of infinities, with saturation
};

SmallFormat format_of(Elem elem) {
  switch (elem) {
    case Elem::kFloat8E4M3FN: return {3, -6, 448.0, true, Beyond::kNan, Beyond::kLargest};
    case Elem::kFloat8E4M3FNUZ: return {3, -7, 240.0, false, Beyond::kNan, Beyond::kLargest};
    case Elem::kFloat8E5M2: return {2, -14, 57344.0, true, Beyond::kInfinity, Beyond::kLargest};
    case Elem::kFloat8E5M2FNUZ: return {2, -15, 57344.0, false, Beyond::kNan, Beyond::kLargest};
    default: return {1, 0, 6.0, true, Beyond::kLargest, Beyond::kLargest};  // kFloat4E2M1
  }
}

Value u32_filled(const Value& like, uint32_t bits) { return broadcast(ops::bit_pattern(u32, bits), like.shape()); }

// f32 rounded to the nearest value of a small format, ties to even; the spacing of values follows from the exponent.
Value rounded_to(const Value& x, Elem elem, bool saturate) {
  const SmallFormat f = format_of(elem);
  const Value magnitude = ops::abs(x), bits = ops::bitcast(magnitude, u32);
  const Value exponent = ops::max(ops::shift_right_logical(bits, u32_filled(bits, 23)),
                                  u32_filled(bits, static_cast<uint32_t>(f.least_exponent + 127)));
  const Value spacing = ops::bitcast(
      ops::shift_left(exponent - u32_filled(bits, static_cast<uint32_t>(f.mantissa)), u32_filled(bits, 23)), f32);
  Value y = ops::round_even(magnitude / spacing) * spacing;
  constexpr double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  const auto number = [&](Beyond b) { return b == Beyond::kLargest ? f.largest : b == Beyond::kNan ? nan : infinity; };
  const Value too_large = ops::compare(y, f.largest, "gt");
  const Value infinite = ops::compare(magnitude, infinity, "eq");
  y = ops::select(too_large, number(saturate ? Beyond::kLargest : f.unsaturated), y);
  y = ops::select(infinite, number(saturate ? f.saturated_infinity : f.unsaturated), y);
  y = ops::copysign(y, x);
  if (elem == Elem::kFloat4E2M1) y = ops::select(ops::compare(x, x, "ne"), -0.0, y);  // which has no nan
  return f.negative_zero ? y : ops::select(ops::compare(y, 0.0, "eq"), 0.0, y);
}

// Powers of two from 2^-127 to 2^127; negative numbers have none.
Value rounded_to_power(const Value& x, bool saturate, std::string_view mode) {
  const Value bits = ops::bitcast(ops::abs(x), u32);
  const Value exponent = ops::shift_right_logical(bits, u32_filled(bits, 23));
  const Value fraction = ops::and_(bits, u32_filled(bits, 0x7FFFFF));
  const Value normal = ops::compare(exponent, 0.0, "gt");
  // Below 2^-126 the powers are 2^-127, the middle of the denormals, and 2^-126.
  Value up;
  if (mode == "down") up = ops::filled(boolean, x.shape(), 0.0);
  else if (mode == "nearest") {
    up = ops::select(normal, ops::compare(fraction, u32_filled(bits, 0x400000), "ge"),
                     ops::compare(fraction, u32_filled(bits, 0x600000), "ge"));
  } else {
    up = ops::select(normal, ops::compare(fraction, 0.0, "gt"),
                     ops::compare(fraction, u32_filled(bits, 0x400000), "gt"));
  }
  Value code = exponent + ops::convert(up, u32);
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const Value too_large = ops::compare(code, 254.0, "gt");
  code = ops::min(code, 254.0);
  const Value power = ops::select(ops::compare(code, 0.0, "eq"), u32_filled(bits, 0x400000),
                                  ops::shift_left(code, u32_filled(bits, 23)));
  Value y = ops::bitcast(power, f32);
  if (!saturate) y = ops::select(too_large, nan, y);
  return ops::select(ops::compare(x, x, "ne"), x, y);
}

// Integers of few bits, from i32: the low bits count.
Value wrapped(const Value& whole, Elem elem) {
  const int bits = bits_of(elem);
  const bool is_signed = elem == Elem::kInt4 || elem == Elem::kInt2;
  const Value shift = ops::filled(i32, whole.shape(), 32 - bits);
  if (is_signed) return ops::convert(ops::shift_right_arith(ops::shift_left(whole, shift), shift), i8);
  return ops::convert(ops::shift_right_logical(ops::shift_left(whole, shift), shift), u8);
}

// Numbers written as text.
Item parsed(const Call& c, const Text& text, Elem to) {
  std::vector<double> numbers;
  for (const std::string& each : text.strings) {
    char* end = nullptr;
    numbers.push_back(std::strtod(each.c_str(), &end));
    if (each.empty() || *end != 0) c.invalid(cat("'", each, "' is no number"));
  }
  return {to, ops::constant(Literal::from_doubles(carrier(to), text.shape, numbers))};
}

void cast_to(Call& c, Elem to) {
  c.result(0, cast(c, c.item(0), to, c.integer("saturate", 1) != 0, c.string("round_mode", "up")));
}

// Until opset 5 the type is a word.
void cast_by_attribute(Call& c) {
  if (c.opset() >= 6) {
    cast_to(c, static_cast<Elem>(c.integer("to")));
    return;
  }
  std::string word = c.string("to", "");
  for (char& letter : word) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  for (int e = 1; e <= 26; ++e) {
    if (name(static_cast<Elem>(e)) == word) {
      cast_to(c, static_cast<Elem>(e));
      return;
    }
  }
  c.invalid(cat("unknown type '", word, "'"));
}

void cast_like(Call& c) { cast_to(c, c.item(1).elem); }

void bit_cast(Call& c) {
  const auto to = static_cast<Elem>(c.integer("to"));
  const Elem from = c.elem(0);
  if (is_narrow(from) || is_narrow(to)) c.unsupported(cat("the bits of ", name(from), " as ", name(to)));
  const DType type = carrier(to);
  Value x = c.x(0);
  c.require(size_of(x.dtype()) == size_of(type), cat(name(from), " and ", name(to), " differ in size"));
  if (x.dtype() == boolean) x = ops::convert(x, u8);
  if (type == boolean) c.result(ops::compare(ops::bitcast(x, u8), 0.0, "ne"));
  else c.result(ops::bitcast(x, type));
}

}  // namespace

Item cast(const Call& c, const Item& from, Elem to, bool saturate, std::string_view round_mode) {
  if (from.kind == Kind::kText) {
    if (to == Elem::kString) return from;
    return parsed(c, *from.text, to);
  }
  if (from.kind != Kind::kTensor) c.invalid("what is cast is no tensor");
  if (to == from.elem) return from;
  if (to == Elem::kString) c.unsupported("numbers cannot be cast to text");
  const DType type = carrier(to);
  const Value& x = from.value;
  if (!is_narrow(to)) return {to, ops::as_type(x, type)};
  if (type != f32) {
    return {to, wrapped(ops::as_type(x, i32), to)};
  }
  const Value wide = ops::as_type(x, f32);
  return {to, to == Elem::kFloat8E8M0 ? rounded_to_power(wide, saturate, round_mode) : rounded_to(wide, to, saturate)};
}

std::span<const Mapping> cast_mappings() {
  static constexpr Mapping table[] = {
      {"BitCast", bit_cast, 26},
      {"Cast", cast_by_attribute},
      {"CastLike", cast_like, 15},
  };
  return table;
}

}  // namespace trireme::formats::onnx
