#include "chips/cpu/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "chips/cpu/optimizer_kernel.cc"
#include <hwy/foreach_target.h>
// After foreach_target:
#include <hwy/highway.h>

#include "chips/cpu/optimizer_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace {

template <class D>
HWY_INLINE void adam_at(D d, const AdamFactors& f, const AdamRun& run, int64_t at) {
  const auto number = [&](float x) HWY_ATTR { return hn::Set(d, x); };
  const auto parameter = hn::LoadU(d, run.parameter + at);
  const auto g = hn::MulAdd(parameter, number(f.penalty), hn::LoadU(d, run.gradient + at));
  const auto mean = hn::MulAdd(hn::LoadU(d, run.mean + at), number(f.beta1), hn::Mul(g, number(f.share1)));
  const auto variance =
      hn::MulAdd(hn::LoadU(d, run.variance + at), number(f.beta2), hn::Mul(hn::Mul(g, g), number(f.share2)));
  const auto root = hn::MulAdd(hn::Sqrt(variance), number(f.root), number(f.epsilon));
  const auto direction = hn::Div(mean, hn::Mul(root, number(f.mean)));
  hn::StoreU(hn::NegMulAdd(number(f.rate), direction, hn::Mul(parameter, number(f.keep))), d, run.new_parameter + at);
  hn::StoreU(mean, d, run.new_mean + at);
  hn::StoreU(variance, d, run.new_variance + at);
}

template <class D>
HWY_INLINE void momentum_at(D d, const MomentumFactors& f, const MomentumRun& run, int64_t at) {
  const auto number = [&](float x) HWY_ATTR { return hn::Set(d, x); };
  const auto parameter = hn::LoadU(d, run.parameter + at);
  const auto g = hn::MulAdd(parameter, number(f.penalty), hn::LoadU(d, run.gradient + at));
  const auto velocity = hn::MulAdd(hn::LoadU(d, run.velocity + at), number(f.momentum), g);
  const auto direction = f.nesterov ? hn::MulAdd(velocity, number(f.momentum), g) : velocity;
  hn::StoreU(hn::NegMulAdd(number(f.rate), direction, parameter), d, run.new_parameter + at);
  hn::StoreU(velocity, d, run.new_velocity + at);
}

// Whole vectors, then one element at a time.
void adam_run(const AdamFactors& factors, const AdamRun& run, int64_t count) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t at = 0;
  for (; at + lanes <= count; at += lanes) adam_at(d, factors, run, at);
  for (; at < count; ++at) adam_at(hn::CappedTag<float, 1>(), factors, run, at);
}
void momentum_run(const MomentumFactors& factors, const MomentumRun& run, int64_t count) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t at = 0;
  for (; at + lanes <= count; at += lanes) momentum_at(d, factors, run, at);
  for (; at < count; ++at) momentum_at(hn::CappedTag<float, 1>(), factors, run, at);
}

}  // namespace
}  // namespace trireme::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme::cpu {

HWY_EXPORT(adam_run);
HWY_EXPORT(momentum_run);

void adam(const AdamFactors& factors, const AdamRun& run, int64_t count) {
  HWY_DYNAMIC_DISPATCH(adam_run)(factors, run, count);
}
void momentum(const MomentumFactors& factors, const MomentumRun& run, int64_t count) {
  HWY_DYNAMIC_DISPATCH(momentum_run)(factors, run, count);
}

}  // namespace trireme::cpu
#endif
