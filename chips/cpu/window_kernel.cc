#include "chips/cpu/window_kernel.h"

#include "chips/cpu/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "chips/cpu/window_kernel.cc"
#include <hwy/foreach_target.h>
// After foreach_target:
#include <hwy/highway.h>

#include <limits>

HWY_BEFORE_NAMESPACE();
namespace trireme::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace {

template <Pool kPool, class V>
HWY_INLINE V pooled(V a, V b) {
  if constexpr (kPool == Pool::kSum) {
    return hn::Add(a, b);
  } else {
    const auto first = kPool == Pool::kMax ? hn::Gt(a, b) : hn::Lt(a, b);
    return hn::IfThenElse(hn::Or(first, hn::IsNaN(a)), a, b);
  }
}
template <class T, Pool kPool>
HWY_INLINE T pooled_one(T a, T b) {
  if constexpr (kPool == Pool::kSum) return a + b;
  else if constexpr (kPool == Pool::kMax) return a > b || a != a ? a : b;
  else return a < b || a != a ? a : b;
}

template <class T, Pool kPool>
void fold(int64_t count, const T* HWY_RESTRICT from, T* HWY_RESTRICT to) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(pooled<kPool>(hn::LoadU(d, to + i), hn::LoadU(d, from + i)), d, to + i);
  }
  for (; i < count; ++i) to[i] = pooled_one<T, kPool>(to[i], from[i]);
}

template <class T, Pool kPool>
void fold_every_other(int64_t count, const T* HWY_RESTRICT from, T* HWY_RESTRICT to) {
  int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (; i + lanes < count; i += lanes) {
    const auto even = hn::ConcatEven(d, hn::LoadU(d, from + 2 * i + lanes), hn::LoadU(d, from + 2 * i));
    hn::StoreU(pooled<kPool>(hn::LoadU(d, to + i), even), d, to + i);
  }
#endif
  for (; i < count; ++i) to[i] = pooled_one<T, kPool>(to[i], from[2 * i]);
}

template <class T>
WindowKernel<T> kernel(Pool pool) {
  switch (pool) {
    case Pool::kMax: return {fold<T, Pool::kMax>, fold_every_other<T, Pool::kMax>};
    case Pool::kMin: return {fold<T, Pool::kMin>, fold_every_other<T, Pool::kMin>};
    default: return {fold<T, Pool::kSum>, fold_every_other<T, Pool::kSum>};
  }
}
template <class T>
void first_maximum(int64_t taps, int64_t count, const T* const* from, const T* y, const T* dy, T* const* to) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const T lowest = -std::numeric_limits<T>::infinity();
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto largest = hn::LoadU(d, y + i), gradient = hn::LoadU(d, dy + i);
    auto open = hn::Eq(largest, largest);  // has not met its maximum; a NaN meets none
    for (int64_t t = 0; t < taps; ++t) {
      const auto x = from[t] ? hn::LoadU(d, from[t] + i) : hn::Set(d, lowest);
      const auto met = hn::And(open, hn::Eq(x, largest));
      open = hn::AndNot(met, open);
      if (!from[t]) continue;
      const auto sum = hn::LoadU(d, to[t] + i);
      hn::StoreU(hn::IfThenElse(met, hn::Add(sum, gradient), sum), d, to[t] + i);
    }
  }
  for (; i < count; ++i) {
    for (int64_t t = 0; t < taps; ++t) {
      if ((from[t] ? from[t][i] : lowest) != y[i]) continue;
      if (from[t]) to[t][i] += dy[i];
      break;
    }
  }
}
FirstMaximum<float> first_maximum_f32() { return first_maximum<float>; }
FirstMaximum<double> first_maximum_f64() { return first_maximum<double>; }

WindowKernel<float> kernel_f32(Pool pool) { return kernel<float>(pool); }
WindowKernel<double> kernel_f64(Pool pool) { return kernel<double>(pool); }

}  // namespace
}  // namespace trireme::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme::cpu {

HWY_EXPORT(kernel_f32);
HWY_EXPORT(kernel_f64);
HWY_EXPORT(first_maximum_f32);
HWY_EXPORT(first_maximum_f64);

template <>
FirstMaximum<float> first_maximum<float>() {
  static const FirstMaximum<float> best = HWY_DYNAMIC_DISPATCH(first_maximum_f32)();
  return best;
}
template <>
FirstMaximum<double> first_maximum<double>() {
  static const FirstMaximum<double> best = HWY_DYNAMIC_DISPATCH(first_maximum_f64)();
  return best;
}

template <>
const WindowKernel<float>& window_kernel<float>(Pool pool) {
  static const WindowKernel<float> kernels[] = {HWY_DYNAMIC_DISPATCH(kernel_f32)(Pool::kMax),
                                                HWY_DYNAMIC_DISPATCH(kernel_f32)(Pool::kMin),
                                                HWY_DYNAMIC_DISPATCH(kernel_f32)(Pool::kSum)};
  return kernels[static_cast<int>(pool)];
}
template <>
const WindowKernel<double>& window_kernel<double>(Pool pool) {
  static const WindowKernel<double> kernels[] = {HWY_DYNAMIC_DISPATCH(kernel_f64)(Pool::kMax),
                                                 HWY_DYNAMIC_DISPATCH(kernel_f64)(Pool::kMin),
                                                 HWY_DYNAMIC_DISPATCH(kernel_f64)(Pool::kSum)};
  return kernels[static_cast<int>(pool)];
}

}  // namespace trireme::cpu
#endif
