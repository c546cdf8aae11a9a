// What the two ways of convolving share: the sizes, and reading rows of an image.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "chips/cpu/epilogue.h"
#include "chips/cpu/kernel.h"
#include "chips/cpu/tile_float.h"

namespace trireme::cpu {

// Sizes with three spatial axes; missing ones are 1 and come first.
struct Geometry {
  uint32_t in_x, in_w, out;  // values
  DType type;
  int64_t images, channels, outputs, groups;
  std::array<int64_t, 3> size, kernel, pixels, stride, low, dilation, spread;  // spread: input dilation
  std::array<int64_t, 5> x_strides;
  int64_t group_channels() const { return channels / groups; }
  int64_t group_outputs() const { return outputs / groups; }
  int64_t positions() const { return kernel[0] * kernel[1] * kernel[2]; }
  int64_t inner() const { return group_channels() * positions(); }  // length of a sum
  int64_t pixel_count() const { return pixels[0] * pixels[1] * pixels[2]; }
  // As gradients of weights do: their kernel is an image of gradients, their result a kernel.
  bool sums_over_pixels() const { return positions() > pixel_count(); }
};

Geometry geometry_of(const Program& program, const NodeView& node);

// Two bf16 that were widened side by side in the place of one float, `low` first.
inline float pair_of(float low, float high) {
  return std::bit_cast<float>((std::bit_cast<uint32_t>(high) & 0xFFFF0000U) | std::bit_cast<uint32_t>(low) >> 16);
}

// Widens `count` elements of a row of the image.
template <class T>
inline void load_row(T* to, const std::byte* from, DType type, int64_t stride, int64_t count) {
  if (type == f16 || type == bf16) {
    if constexpr (std::is_same_v<T, float>) {
      if (stride == 1 && count > 1) return load_half_floats(to, from, static_cast<size_t>(count), type == bf16);
      const auto* items = reinterpret_cast<const uint16_t*>(from);
      for (int64_t i = 0; i < count; ++i) {
        if (type == bf16) to[i] = std::bit_cast<float>(static_cast<uint32_t>(items[i * stride]) << 16);
        else load_half_floats(to + i, items + i * stride, 1, false);
      }
    }
    return;
  }
  const T* items = reinterpret_cast<const T*>(from);
  if (stride == 1) std::memcpy(to, items, static_cast<size_t>(count) * sizeof(T));
  else
    for (int64_t i = 0; i < count; ++i) to[i] = items[i * stride];
}

// Writes elements [at, at + count) of an output of type `type`.
template <class T>
inline void store_run(std::byte* y, DType type, int64_t at, const T* from, int64_t count) {
  if constexpr (std::is_same_v<T, float>) {
    if (type != f32) return store_half_floats(y + at * 2, from, static_cast<size_t>(count), type == bf16);
  }
  std::copy_n(from, count, reinterpret_cast<T*>(y) + at);
}

// Hands a finished run of pixels of one output line to the epilogue, or stores it.
template <class T>
inline void finish_run(const Geometry& g, const Epilogue* epilogue, Epilogue::Session& session, std::byte* y,
                       int64_t line, int64_t pixel, const T* from, int64_t count) {
  if (!epilogue) return store_run(y, g.type, line * g.pixel_count() + pixel, from, count);
  if (epilogue->target() == TRM_ABSENT) return epilogue->run(session, line, pixel, count, from);
  store_run(y, g.type, line * g.pixel_count() + pixel, from, count);
  epilogue->run(session, line, pixel, count, nullptr);
}

// One input channel per group, few outputs each: directly, without gathering columns. T holds the type.
template <class T>
Run prepare_depthwise(const Geometry& g, const TrmValue& w, std::shared_ptr<const Epilogue> epilogue);

}  // namespace trireme::cpu
