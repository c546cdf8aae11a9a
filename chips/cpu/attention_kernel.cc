#include "chips/cpu/attention_kernel.h"

#include "chips/cpu/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "chips/cpu/attention_kernel.cc"
#include <hwy/foreach_target.h>
// After foreach_target:
#include <hwy/highway.h>

#include <limits>

#include "chips/cpu/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// f(v) on each of the two vectors of a row.
template <class F>
HWY_INLINE void each_half(const F& f) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(D()));
  f(int64_t{0});
  f(lanes);
}
HWY_INLINE int64_t row_size() { return 2 * static_cast<int64_t>(hn::Lanes(D())); }

void weigh(int64_t keys, float* scores, float* top, float* sum, float* factor) {
  const D d;
  const int64_t row = row_size();
  const V nothing = hn::Set(d, -std::numeric_limits<float>::infinity());
  each_half([&](int64_t half) {
    float* column = scores + half;
    const auto score = [&](int64_t k) { return hn::LoadU(d, column + k * row); };
    V best0 = hn::LoadU(d, top + half), best1 = best0, best2 = best0, best3 = best0;
    int64_t at = 0;
    for (; at + 4 <= keys; at += 4) {
      best0 = hn::Max(best0, score(at)), best1 = hn::Max(best1, score(at + 1));
      best2 = hn::Max(best2, score(at + 2)), best3 = hn::Max(best3, score(at + 3));
    }
    for (; at < keys; ++at) best0 = hn::Max(best0, score(at));
    const V largest = hn::Max(hn::Max(best0, best1), hn::Max(best2, best3));
    // While all scores are -infinity the weights are 0, not NaN.
    const V shift = hn::IfThenElse(hn::Eq(largest, nothing), hn::Zero(d), largest);
    const V less = Exp::run(d, hn::Sub(hn::LoadU(d, top + half), shift));
    V even = hn::Mul(hn::LoadU(d, sum + half), less), odd = hn::Zero(d);
    const auto weight_of = [&](int64_t k) {
      const V weight = Exp::run(d, hn::Sub(score(k), shift));
      hn::StoreU(weight, d, column + k * row);
      return weight;
    };
    at = 0;
    for (; at + 2 <= keys; at += 2) even = hn::Add(even, weight_of(at)), odd = hn::Add(odd, weight_of(at + 1));
    if (at < keys) even = hn::Add(even, weight_of(at));
    hn::StoreU(largest, d, top + half);
    hn::StoreU(hn::Add(even, odd), d, sum + half);
    hn::StoreU(less, d, factor + half);
  });
}

void invert(const float* sum, float* factor) {
  const D d;
  each_half([&](int64_t half) {
    const V all = hn::LoadU(d, sum + half);
    hn::StoreU(hn::IfThenZeroElse(hn::Eq(all, hn::Zero(d)), hn::Div(hn::Set(d, 1.0f), all)), d, factor + half);
  });
}

void scale(int64_t rows, const float* factor, float* values) {
  const D d;
  const int64_t row = row_size();
  each_half([&](int64_t half) {
    const V f = hn::LoadU(d, factor + half);
    for (float* at = values + half; at < values + rows * row; at += row)
      hn::StoreU(hn::Mul(hn::LoadU(d, at), f), d, at);
  });
}

void dot(int64_t rows, const float* x, const float* y, float* sums) {
  const D d;
  const int64_t row = row_size();
  each_half([&](int64_t half) {
    V sum = hn::Zero(d);
    for (int64_t i = half; i < rows * row; i += row) sum = hn::MulAdd(hn::LoadU(d, x + i), hn::LoadU(d, y + i), sum);
    hn::StoreU(sum, d, sums + half);
  });
}

void score_gradient(int64_t keys, float scale, const float* weights, const float* mean, float* gradients) {
  const D d;
  const int64_t row = row_size();
  const V factor = hn::Set(d, scale);
  each_half([&](int64_t half) {
    const V m = hn::LoadU(d, mean + half);
    for (int64_t i = half; i < keys * row; i += row) {
      const V weight = hn::Mul(hn::LoadU(d, weights + i), factor);
      hn::StoreU(hn::Mul(weight, hn::Sub(hn::LoadU(d, gradients + i), m)), d, gradients + i);
    }
  });
}

AttentionKernel kernel() { return {weigh, invert, scale, dot, score_gradient}; }

}  // namespace
}  // namespace trireme::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme::cpu {

HWY_EXPORT(kernel);

const AttentionKernel& attention_kernel() {
  static const AttentionKernel best = HWY_DYNAMIC_DISPATCH(kernel)();
  return best;
}

}  // namespace trireme::cpu
#endif
