// The two 16-bit floating types as storage: IEEE 754 binary16 and bfloat16. Arithmetic happens in float or double.
// Conversions round to nearest, ties to even; NaN stays NaN; overflow becomes infinity; denormals are kept.
#pragma once

#include <bit>
#include <cstdint>

namespace trireme {

uint16_t float_to_half_bits(float value);
float half_bits_to_float(uint16_t bits);

struct Half {
  uint16_t bits = 0;
  Half() = default;
  explicit Half(float value) : bits(float_to_half_bits(value)) {}
  explicit operator float() const { return half_bits_to_float(bits); }
  explicit operator double() const { return half_bits_to_float(bits); }
};

struct BFloat16 {
  uint16_t bits = 0;
  BFloat16() = default;
  explicit BFloat16(float value) {
    const uint32_t word = std::bit_cast<uint32_t>(value);
    if ((word & 0x7fffffffu) > 0x7f800000u) {
      bits = static_cast<uint16_t>((word >> 16) | 0x40u);
    } else {
      bits = static_cast<uint16_t>((word + 0x7fffu + ((word >> 16) & 1u)) >> 16);
    }
  }
  explicit operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
  explicit operator double() const { return static_cast<float>(*this); }
};

// Double to a 16-bit type in one rounding (double to float to half would round twice).
Half half_from_double(double value);
BFloat16 bfloat16_from_double(double value);

}  // namespace trireme
