#include "chips/cpu/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "chips/cpu/normalization_kernel.cc"
#include <hwy/foreach_target.h>
// After foreach_target:
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "chips/cpu/math-inl.h"
#include "chips/cpu/normalization_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::cpu::HWY_NAMESPACE {
namespace {

template <class T>
using Tag = hn::ScalableTag<T>;
template <class T>
using Vector = hn::Vec<Tag<T>>;

// How many numbers are summed in T before the sum goes on in double, so that long sums keep their digits.
template <class T>
constexpr int64_t kBlock = static_cast<int64_t>(32 * hn::MaxLanes(Tag<T>()));

// `each` on the vectors of x, two at a time while there are; the last is filled up with `padding`.
template <class T, class Each>
HWY_INLINE void for_vectors(const T* x, int64_t count, T padding, const Each& each) {
  const Tag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    each(hn::LoadU(d, x + i), i, 0);
    each(hn::LoadU(d, x + i + lanes), i + lanes, 1);
  }
  for (; i + lanes <= count; i += lanes) each(hn::LoadU(d, x + i), i, 0);
  if (i == count) return;
  HWY_ALIGN T padded[hn::MaxLanes(d)];
  hn::Store(hn::Set(d, padding), d, padded);
  for (int64_t k = i; k < count; ++k) padded[k - i] = x[k];
  each(hn::Load(d, padded), i, 0);
}
template <class T>
HWY_INLINE void store(Vector<T> v, T* y, int64_t at, int64_t count) {
  const Tag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  if (at + lanes <= count) return hn::StoreU(v, d, y + at);
  HWY_ALIGN T padded[hn::MaxLanes(d)];
  hn::Store(v, d, padded);
  for (int64_t k = at; k < count; ++k) y[k] = padded[k - at];
}

// Sums what `each(vector, at)` gives for the vectors of x.
template <class T, class Each>
HWY_INLINE double sum_of(const T* x, int64_t count, T padding, const Each& each) {
  const Tag<T> d;
  double total = 0.0;
  for (int64_t begin = 0; begin < count; begin += kBlock<T>) {
    Vector<T> sums[2] = {hn::Zero(d), hn::Zero(d)};
    for_vectors(x + begin, std::min(kBlock<T>, count - begin), padding,
                [&](Vector<T> v, int64_t at, int which)
                    HWY_ATTR { sums[which] = hn::Add(sums[which], each(v, begin + at)); });
    total += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, hn::Add(sums[0], sums[1]))));
  }
  return total;
}

// A NaN may be missed: it comes back when it is subtracted from.
template <class T>
HWY_INLINE T max_of(const T* x, int64_t count) {
  constexpr T kLowest = -std::numeric_limits<T>::infinity();
  const Tag<T> d;
  Vector<T> best[2] = {hn::Set(d, kLowest), hn::Set(d, kLowest)};
  for_vectors(x, count, kLowest,
              [&](Vector<T> v, int64_t, int which) HWY_ATTR { best[which] = hn::Max(best[which], v); });
  return hn::GetLane(hn::MaxOfLanes(d, hn::Max(best[0], best[1])));
}

template <class T>
HWY_INLINE Vector<T> exp_of(Vector<T> v) {
  const Tag<T> d;
  if constexpr (std::is_same_v<T, float>) {
    return Exp::run(d, v);
  } else {
    HWY_ALIGN T lane[hn::MaxLanes(d)];
    hn::Store(v, d, lane);
    for (T& each : lane) each = std::exp(each);
    return hn::Load(d, lane);
  }
}

template <class T>
void softmax(const T* x, T* y, int64_t count) {
  constexpr T kLowest = -std::numeric_limits<T>::infinity();
  const Tag<T> d;
  const auto shift = hn::Set(d, max_of(x, count));
  const double sum = sum_of(x, count, kLowest, [&](Vector<T> v, int64_t at) HWY_ATTR {
    const auto e = exp_of<T>(hn::Sub(v, shift));
    store(e, y, at, count);
    return e;
  });
  const auto scale = hn::Set(d, static_cast<T>(1.0 / sum));
  for_vectors(y, count, T{0}, [&](Vector<T> v, int64_t at, int) HWY_ATTR { store(hn::Mul(v, scale), y, at, count); });
}

template <class T>
void log_softmax(const T* x, T* y, int64_t count) {
  constexpr T kLowest = -std::numeric_limits<T>::infinity();
  const Tag<T> d;
  const auto shift = hn::Set(d, max_of(x, count));
  const double sum =
      sum_of(x, count, kLowest, [&](Vector<T> v, int64_t) HWY_ATTR { return exp_of<T>(hn::Sub(v, shift)); });
  const auto log_sum = hn::Set(d, static_cast<T>(std::log(sum)));
  for_vectors(x, count, T{0},
              [&](Vector<T> v, int64_t at, int) HWY_ATTR { store(hn::Sub(hn::Sub(v, shift), log_sum), y, at, count); });
}

template <class T>
void normalize(const T* x, T* y, int64_t count, bool centred, double epsilon, const T* weight, const T* bias) {
  const Tag<T> d;
  const auto n = static_cast<double>(count);
  T mean{0};
  if (centred) mean = static_cast<T>(sum_of(x, count, T{0}, [](Vector<T> v, int64_t) HWY_ATTR { return v; }) / n);
  const auto shift = hn::Set(d, mean);
  const double squares = sum_of(x, count, mean, [&](Vector<T> v, int64_t) HWY_ATTR {
    const auto centre = hn::Sub(v, shift);
    return hn::Mul(centre, centre);
  });
  const auto scale = hn::Set(d, static_cast<T>(1.0 / std::sqrt(squares / n + epsilon)));
  const auto part = [&](const T* from, int64_t at) HWY_ATTR {
    if (at + static_cast<int64_t>(hn::Lanes(d)) <= count) return hn::LoadU(d, from + at);
    HWY_ALIGN T padded[hn::MaxLanes(d)] = {};
    for (int64_t k = at; k < count; ++k) padded[k - at] = from[k];
    return hn::Load(d, padded);
  };
  for_vectors(x, count, T{0}, [&](Vector<T> v, int64_t at, int) HWY_ATTR {
    auto result = hn::Mul(hn::Sub(v, shift), scale);
    if (weight) result = hn::Mul(result, part(weight, at));
    if (bias) result = hn::Add(result, part(bias, at));
    store(result, y, at, count);
  });
}

const LineKernels<float>& floats() {
  static constexpr LineKernels<float> kernels = {softmax<float>, log_softmax<float>, normalize<float>};
  return kernels;
}
const LineKernels<double>& doubles() {
  static constexpr LineKernels<double> kernels = {softmax<double>, log_softmax<double>, normalize<double>};
  return kernels;
}

}  // namespace
}  // namespace trireme::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme::cpu {

HWY_EXPORT(floats);
HWY_EXPORT(doubles);

template <>
const LineKernels<float>& line_kernels() {
  static const LineKernels<float>& best = HWY_DYNAMIC_DISPATCH(floats)();
  return best;
}
template <>
const LineKernels<double>& line_kernels() {
  static const LineKernels<double>& best = HWY_DYNAMIC_DISPATCH(doubles)();
  return best;
}

}  // namespace trireme::cpu
#endif
