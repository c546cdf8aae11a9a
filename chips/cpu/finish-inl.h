// How a kernel writes a finished sum. Included once per instruction set.
#if defined(TRIREME_CPU_FINISH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TRIREME_CPU_FINISH_INL_H_
#undef TRIREME_CPU_FINISH_INL_H_
#else
#define TRIREME_CPU_FINISH_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>

#include "chips/cpu/indirect_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using FloatVector = hn::Vec<FloatTag>;

// Kept in registers: to a compiler that writes results, which are floats too, Finish might change with each of them.
struct Bounds {
  FloatVector low, high;
  explicit Bounds(const Finish& finish)
      : low(hn::Set(FloatTag(), finish.low)), high(hn::Set(FloatTag(), finish.high)) {}
};

// A vector of results, scaled and with its bias: plus what is added unless that is null, within the bounds. The first
// `used` of its lanes are there, all if it is whole.
template <bool kWhole>
HWY_INLINE void store_finished(FloatVector sum, int64_t used, float* to, const float* added, const Bounds& bounds) {
  const FloatTag d;
  const auto mask = hn::FirstN(d, static_cast<size_t>(used));
  if (added) sum = hn::Add(sum, kWhole ? hn::LoadU(d, added) : hn::MaskedLoad(mask, d, added));
  sum = hn::IfThenElse(hn::Lt(sum, bounds.low), bounds.low, sum);
  sum = hn::IfThenElse(hn::Gt(sum, bounds.high), bounds.high, sum);
  if constexpr (kWhole) hn::StoreU(sum, d, to);
  else hn::BlendedStore(sum, mask, d, to);
}

}  // namespace trireme::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
