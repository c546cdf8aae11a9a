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

// Vector `v` of a row of `used` results, scaled and with its bias: plus what is added, within the bounds.
HWY_INLINE void store_finished(const FloatTag d, FloatVector sum, int64_t v, int64_t used, float* to,
                               const float* added, const Finish& finish) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t left = used - v * lanes;
  to += v * lanes;
  const bool whole = left >= lanes;
  const auto mask = hn::FirstN(d, static_cast<size_t>(std::min(left, lanes)));
  if (added) {
    added += v * lanes;
    sum = hn::Add(sum, whole ? hn::LoadU(d, added) : hn::MaskedLoad(mask, d, added));
  }
  const FloatVector low = hn::Set(d, finish.low), high = hn::Set(d, finish.high);
  sum = hn::IfThenElse(hn::Lt(sum, low), low, sum);
  sum = hn::IfThenElse(hn::Gt(sum, high), high, sum);
  if (whole) hn::StoreU(sum, d, to);
  else hn::BlendedStore(sum, mask, d, to);
}

}  // namespace trireme::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
