// Conversions between 8-bit integers, i32 and f32: plain loops, compiled for each instruction set.
#include "chips/cpu/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "chips/cpu/tile_convert.cc"
#include <hwy/foreach_target.h>
// After foreach_target:
#include <hwy/highway.h>

#include "chips/cpu/tile_convert.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::cpu::HWY_NAMESPACE {
namespace {

// Towards zero, cut at the ends of the type; NaN gives 0.
template <class T>
HWY_INLINE T narrowed(float x) {
  constexpr bool kSigned = static_cast<T>(-1) < 0;
  constexpr float low = kSigned ? -128.0F : 0.0F, high = kSigned ? 127.0F : 255.0F;
  const float number = x == x ? x : 0.0F;
  const float above = number > low ? number : low;
  return static_cast<T>(static_cast<int32_t>(above < high ? above : high));
}
template <class From, class To>
void convert(void* out, const void* const* in, size_t count, const TileParameters&) {
  const From* HWY_RESTRICT x = static_cast<const From*>(in[0]);
  To* HWY_RESTRICT y = static_cast<To*>(out);
  for (size_t i = 0; i < count; ++i) {
    if constexpr (static_cast<From>(0.5F) != 0 && sizeof(To) == 1) y[i] = narrowed<To>(x[i]);
    else y[i] = static_cast<To>(x[i]);
  }
}
// In place is a case of its own: tiles of one size may be the same.
void i32_to_f32(void* out, const void* const* in, size_t count, const TileParameters&) {
  const auto* x = static_cast<const int32_t*>(in[0]);
  auto* y = static_cast<float*>(out);
  for (size_t i = 0; i < count; ++i) y[i] = static_cast<float>(x[i]);
}

TileFunction find(DType from, DType to) {
  if (from == i32 && to == f32) return i32_to_f32;
  if (from == f32) return to == u8 ? convert<float, uint8_t> : to == i8 ? convert<float, int8_t> : nullptr;
  if (from == u8) return to == f32 ? convert<uint8_t, float> : to == i32 ? convert<uint8_t, int32_t> : nullptr;
  if (from == i8) return to == f32 ? convert<int8_t, float> : to == i32 ? convert<int8_t, int32_t> : nullptr;
  return nullptr;
}

}  // namespace
}  // namespace trireme::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme::cpu {

HWY_EXPORT(find);

TileFunction find_quantized_conversion(DType from, DType to) { return HWY_DYNAMIC_DISPATCH(find)(from, to); }

}  // namespace trireme::cpu
#endif
