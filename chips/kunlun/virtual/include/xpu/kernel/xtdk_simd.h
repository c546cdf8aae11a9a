// SIMD of XTDK from the second generation on: 512 bits, 16 lanes of 32. Bit i of a mask is lane i; _mz makes the other
// lanes zero, _mh keeps what they held. The first generation has other vectors: a fault.
#pragma once

#include <array>

#include "xtdk.h"

// NOLINTBEGIN(readability-identifier-naming): the public names of the vendor's language

using float32x16_t = std::array<float, 16>;
using int32x16_t = std::array<int32_t, 16>;

namespace xtdk {

template <class Lanes, class T>
Lanes load_lanes(const Pointer<T>& from, uint32_t mask, Lanes lanes) {
  vector_instruction();
  if (mask == 0xffff) {
    load(from.array(), from.at(), lanes.data(), sizeof lanes);
    return lanes;
  }
  for (int i = 0; i < 16; ++i) {  // lanes without a bit are not touched
    if (mask >> i & 1) load(from.array(), from.at() + 4 * i, &lanes[i], 4);
  }
  return lanes;
}

template <class Lanes, class T>
void store_lanes(const Pointer<T>& to, uint32_t mask, const Lanes& lanes) {
  vector_instruction();
  if (mask == 0xffff) {
    store(to.array(), to.at(), lanes.data(), sizeof lanes);
    return;
  }
  for (int i = 0; i < 16; ++i) {
    if (mask >> i & 1) store(to.array(), to.at() + 4 * i, &lanes[i], 4);
  }
}

template <class Lanes, class F>
Lanes map_lanes(const Lanes& a, const Lanes& b, F f) {
  vector_instruction();
  Lanes result;
  for (int i = 0; i < 16; ++i) result[i] = f(a[i], b[i]);
  return result;
}

template <class Lanes, class T>
Lanes all_lanes(T value) {
  Lanes lanes;
  lanes.fill(value);
  return lanes;
}

}  // namespace xtdk

// Loads and stores of a vector, from LM and SM.
#define XTDK_MEMORY(space, type, T)                                                                                \
  inline type##_t vload_##space##_##type(const xtdk::Pointer<T>& from) {                                           \
    return xtdk::load_lanes(from, 0xffff, type##_t{});                                                             \
  }                                                                                                                \
  inline type##_t vload_##space##_##type##_mz(const xtdk::Pointer<T>& from, uint32_t mask) {                       \
    return xtdk::load_lanes(from, mask, type##_t{});                                                               \
  }                                                                                                                \
  inline type##_t vload_##space##_##type##_mh(const xtdk::Pointer<T>& from, const type##_t& held, uint32_t mask) { \
    return xtdk::load_lanes(from, mask, held);                                                                     \
  }                                                                                                                \
  inline void vstore_##space##_##type(const xtdk::Pointer<T>& to, const type##_t& lanes) {                         \
    xtdk::store_lanes(to, 0xffff, lanes);                                                                          \
  }                                                                                                                \
  inline void vstore_##space##_##type##_mh(const xtdk::Pointer<T>& to, const type##_t& lanes, uint32_t mask) {     \
    xtdk::store_lanes(to, mask, lanes);                                                                            \
  }
XTDK_MEMORY(lm, float32x16, float)
XTDK_MEMORY(sm, float32x16, float)
XTDK_MEMORY(lm, int32x16, int32_t)
XTDK_MEMORY(sm, int32x16, int32_t)
#undef XTDK_MEMORY

// vv: two vectors; sv: a scalar with each lane of a vector.
#define XTDK_BINARY(name, type, T, expression)                                                         \
  inline type##_t vv##name##_##type(const type##_t& a, const type##_t& b) {                            \
    return xtdk::map_lanes(a, b, [](T x, T y) -> T { return expression; });                            \
  }                                                                                                    \
  inline type##_t sv##name##_##type(T a, const type##_t& b) {                                          \
    return xtdk::map_lanes(xtdk::all_lanes<type##_t>(a), b, [](T x, T y) -> T { return expression; }); \
  }
XTDK_BINARY(add, float32x16, float, x + y)
XTDK_BINARY(sub, float32x16, float, x - y)
XTDK_BINARY(mul, float32x16, float, x* y)
XTDK_BINARY(max, float32x16, float, x > y ? x : y)
XTDK_BINARY(min, float32x16, float, x < y ? x : y)
XTDK_BINARY(add, int32x16, int32_t, static_cast<int32_t>(static_cast<uint32_t>(x) + static_cast<uint32_t>(y)))
XTDK_BINARY(sub, int32x16, int32_t, static_cast<int32_t>(static_cast<uint32_t>(x) - static_cast<uint32_t>(y)))
XTDK_BINARY(max, int32x16, int32_t, x > y ? x : y)
XTDK_BINARY(min, int32x16, int32_t, x < y ? x : y)
#undef XTDK_BINARY

#define XTDK_UNARY(name, expression)                                                  \
  inline float32x16_t v##name##_float32x16(const float32x16_t& a) {                   \
    return xtdk::map_lanes(a, a, [](float x, float) -> float { return expression; }); \
  }
XTDK_UNARY(exp, std::exp(x))
XTDK_UNARY(log, std::log(x))
XTDK_UNARY(sqrt, std::sqrt(x))
XTDK_UNARY(abs, std::fabs(x))
#undef XTDK_UNARY

// NOLINTEND(readability-identifier-naming)
