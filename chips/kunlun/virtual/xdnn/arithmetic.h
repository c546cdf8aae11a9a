// The arithmetics of the SDNN units: how numbers of a tensor become what is multiplied. See TGEMM in
// xpu/refactor/fusion.h.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "chips/kunlun/virtual/xdnn/launch.h"

namespace baidu::xpu::api::detail {

// The greatest fixed-point number; 0: the arithmetic is floating.
template <class TGEMM>
constexpr double limit_of = std::is_same_v<TGEMM, int8_t>                                            ? 127.0
                            : std::is_same_v<TGEMM, int32_t>                                         ? 2147483647.0
                            : std::is_same_v<TGEMM, int16_t> || std::is_same_v<TGEMM, int_with_ll_t> ? 32767.0
                                                                                                     : 0.0;

template <class TGEMM>
constexpr bool is_fixed = limit_of<TGEMM> > 0;

// What products are summed in.
template <class TGEMM>
using Accumulator = std::conditional_t<is_fixed<TGEMM>, double, float>;

template <class TGEMM>
constexpr Arithmetic arithmetic_of = std::is_same_v<TGEMM, int8_t> ? Arithmetic::kInt8
                                     : std::is_same_v<TGEMM, int16_t> || std::is_same_v<TGEMM, int_with_ll_t> ||
                                             std::is_same_v<TGEMM, float16> || std::is_same_v<TGEMM, tfloat32>
                                         ? Arithmetic::kHalf
                                         : Arithmetic::kFloat;

inline double round_even(double value) {
  constexpr double kMagic = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer
  return (value + kMagic) - kMagic;
}

inline float round_to_tfloat32(float value) {
  const uint32_t word = std::bit_cast<uint32_t>(value);
  if ((word & 0x7f800000u) == 0x7f800000u) return value;
  return std::bit_cast<float>((word + 0xfffu + (word >> 13 & 1u)) & ~0x1fffu);
}

// A number of a tensor as it is multiplied. `scale` is limit / absmax.
template <class TGEMM, class T>
Accumulator<TGEMM> operand(T value, double scale) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<Accumulator<TGEMM>>(value);
  } else if constexpr (is_fixed<TGEMM>) {
    return round_even(static_cast<double>(static_cast<float>(value)) * scale);
  } else if constexpr (std::is_same_v<TGEMM, float16>) {
    return static_cast<float>(float16(static_cast<float>(value)));
  } else if constexpr (std::is_same_v<TGEMM, tfloat32>) {
    return round_to_tfloat32(static_cast<float>(value));
  } else {
    return static_cast<float>(value);
  }
}

// limit / absmax; 0 for a tensor of zeros. An absolute maximum that is NaN or infinite makes unit() NaN, and with it
// every result.
template <class TGEMM>
double scale_of(double absmax) {
  return absmax > 0 && std::isfinite(absmax) ? limit_of<TGEMM> / absmax : 0;
}
// What a fixed-point number is multiplied with to be itself again.
template <class TGEMM>
double unit_of(double absmax) {
  if (!is_fixed<TGEMM>) return 1;
  return std::isfinite(absmax) ? absmax / limit_of<TGEMM> : std::numeric_limits<double>::quiet_NaN();
}

// The absolute maximum of numbers `stride` apart; NaN when there is one.
template <class T>
double absolute_maximum(const T* x, int64_t count, int64_t stride = 1) {
  float greatest = 0;
  bool nan = false;
  for (int64_t i = 0; i < count; ++i) {
    const float value = std::fabs(static_cast<float>(x[i * stride]));
    nan |= value != value;
    greatest = value > greatest ? value : greatest;
  }
  return nan ? std::numeric_limits<double>::quiet_NaN() : greatest;
}

// From a max-pointer.
inline double maximum_of(const float* pointer, int64_t size) { return absolute_maximum(pointer, size); }

// Writes the absolute maximum of a result, when it is wanted: to every place, as if each unit had seen it.
template <class T>
void write_maximum(const T* y, int64_t count, float* pointer, int64_t size) {
  if (pointer) std::fill_n(pointer, size, static_cast<float>(absolute_maximum(y, count)));
}

inline float activate(const Activation_t& act, float x) {
  const auto sigmoid = [](float value) {
    const float e = std::exp(-std::fabs(value));
    return value < 0 ? e / (1 + e) : 1 / (1 + e);
  };
  switch (act.type) {
    case Activation_t::LINEAR: return x;
    case Activation_t::RELU: return x > 0 ? x : x == x ? 0 : x;
    case Activation_t::SIGMOID: return sigmoid(x);
    case Activation_t::TANH: return std::tanh(x);
    case Activation_t::GELU: return 0.5f * x * std::erfc(x * -0.70710678118f);
    case Activation_t::LEAKY_RELU: return x > 0 ? x : act.leaky_alpha * x;
    case Activation_t::HARD_SWISH: return x * std::clamp(x + 3, 0.0f, 6.0f) / 6;
    case Activation_t::HARD_SIGMOID: return std::clamp(act.hard_sigmoid_slope * x + 0.5f, 0.0f, 1.0f);
    case Activation_t::RELU6: return std::clamp(x, 0.0f, 6.0f);
    case Activation_t::SWISH: return x * sigmoid(x);
  }
  return x;
}

// What is read to find the maxima that the caller did not give.
template <class TGEMM, class T>
void add_pass(Work* work, const float* maxptr, int64_t count) {
  if (!is_fixed<TGEMM> || maxptr || std::is_same_v<TGEMM, int_with_ll_t>) return;
  work->pass_bytes += static_cast<double>(count) * sizeof(T);
}

}  // namespace baidu::xpu::api::detail

// Explicit instantiations for the <TX, TW, TY, TGEMM> of xpu/refactor/fusion.h, but for int_with_ll_t.
#define XDNN_FOR_ARITHMETICS_OF(M, T) \
  M(T, T, T, int16_t)                 \
  M(T, T, T, int8_t)                  \
  M(T, T, T, int32_t)                 \
  M(T, T, T, float16) M(T, T, T, tfloat32) M(T, T, T, float)
#define XDNN_FOR_QUANTIZED_WEIGHTS_OF(M, T) M(T, int16_t, T, int16_t) M(T, int8_t, T, int8_t)
#define XDNN_FOR_SAME_TYPES(M)      \
  XDNN_FOR_ARITHMETICS_OF(M, float) \
  XDNN_FOR_ARITHMETICS_OF(M, ::baidu::xpu::api::float16) XDNN_FOR_ARITHMETICS_OF(M, bfloat16)
#define XDNN_FOR_PRODUCTS(M)                                   \
  XDNN_FOR_SAME_TYPES(M)                                       \
  XDNN_FOR_QUANTIZED_WEIGHTS_OF(M, float)                      \
  XDNN_FOR_QUANTIZED_WEIGHTS_OF(M, ::baidu::xpu::api::float16) \
  XDNN_FOR_QUANTIZED_WEIGHTS_OF(M, bfloat16) M(int8_t, int8_t, float, int8_t)
