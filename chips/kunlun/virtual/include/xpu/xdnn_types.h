// The types of the operator library (XDNN): what its functions return, the 16-bit numbers, the names of arithmetics.
#ifndef TRIREME_XPU_XDNN_TYPES_H
#define TRIREME_XPU_XDNN_TYPES_H

#include <bit>
#include <cstdint>

namespace baidu::xpu::api {

// NOLINTBEGIN(readability-identifier-naming): the public names of the vendor's interface

// What an operator returns. The vendor's numbers other than 0 are not public.
enum Error_t {
  SUCCESS = 0,
  INVALID_PARAM = 1,        // an argument broke a rule; xdnn_last_error() has the words
  RUNTIME_ERROR = 2,        // the runtime refused the launch, or the device failed before
  NO_ENOUGH_WORKSPACE = 3,  // no device memory left for intermediate values
  NOT_IMPLEMENT = 4,        // not with these types, or not on this generation
};

// The first four are the values of Device::type().
enum DeviceType { kCPU = 0, kXPU1 = 1, kXPU2 = 2, kXPU3 = 3 };

// IEEE 754 binary16, storage only: arithmetic happens in float. Conversions round to nearest, ties to even; NaN stays
// NaN, overflow becomes infinity, denormals are kept.
struct float16 {
  uint16_t bits = 0;
  float16() = default;
  float16(float value) : bits(from_float(value)) {}  // NOLINT(google-explicit-constructor)
  operator float() const { return to_float(bits); }  // NOLINT(google-explicit-constructor)

  static uint16_t from_float(float value) {
    const uint32_t word = std::bit_cast<uint32_t>(value), sign = word >> 16 & 0x8000u, magnitude = word & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // rounds to 65536 or more
    if (magnitude < 0x38800000u) {  // denormal: adding 0.5 leaves the rounded multiple of 2^-24 in the last bits
      const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
      return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
    }
    return static_cast<uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u)) >> 13));
  }
  static float to_float(uint16_t half) {
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16, magnitude = half & 0x7fffu;
    if (magnitude >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
    if (magnitude >= 0x400u) return std::bit_cast<float>(sign | ((magnitude << 13) + 0x38000000u));
    const float small = static_cast<float>(magnitude) * 0x1p-24f;
    return sign ? -small : small;
  }
};

// The upper half of a float, third generation only; rounds as float16 does.
struct bfloat16 {
  uint16_t bits = 0;
  bfloat16() = default;
  bfloat16(float value) {  // NOLINT(google-explicit-constructor)
    const uint32_t word = std::bit_cast<uint32_t>(value);
    const bool nan = (word & 0x7fffffffu) > 0x7f800000u;
    bits = static_cast<uint16_t>((nan ? word | 0x400000u : word + 0x7fffu + (word >> 16 & 1u)) >> 16);
  }
  operator float() const {  // NOLINT(google-explicit-constructor)
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
  }
};

// Arithmetics that are no type of data; see TGEMM in xpu/refactor/fusion.h.
struct tfloat32 {};
struct int_with_ll_t {};

// What fc_fusion and conv2d_fusion do to each result.
struct Activation_t {
  enum act_enum {
    LINEAR = 0,
    RELU,
    SIGMOID,
    TANH,
    GELU,
    LEAKY_RELU,
    HARD_SWISH,
    HARD_SIGMOID,
    RELU6,
    SWISH,
  };
  act_enum type = LINEAR;
  float leaky_alpha = 0.01f;
  float hard_sigmoid_slope = 1.0f / 6;

  Activation_t() = default;
  Activation_t(act_enum which) : type(which) {}  // NOLINT(google-explicit-constructor)
};

// NOLINTEND(readability-identifier-naming)

}  // namespace baidu::xpu::api

#endif
