#include "bench/roofline.h"

#include <hwy/detect_targets.h>

// Kernels without arrays of vectors: every instruction set will do.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/roofline.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace trireme::bench::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Twelve independent chains hide the latency of a multiply-add. Returns the operations done; `sink` keeps them alive.
double multiply_add(uint64_t rounds, float* sink) {
  const hn::ScalableTag<float> d;
  const auto m = hn::Set(d, 0.999f), c = hn::Set(d, 0.001f);
  // Each chain starts elsewhere, else the compiler keeps one for all.
  const auto start = [&](float at) { return hn::Set(d, at + *sink); };
  auto a0 = start(0.10f), a1 = start(0.11f), a2 = start(0.12f), a3 = start(0.13f), a4 = start(0.14f), a5 = start(0.15f),
       a6 = start(0.16f), a7 = start(0.17f), a8 = start(0.18f), a9 = start(0.19f), a10 = start(0.20f),
       a11 = start(0.21f);
  for (uint64_t i = 0; i < rounds; ++i) {
    a0 = hn::MulAdd(a0, m, c), a1 = hn::MulAdd(a1, m, c), a2 = hn::MulAdd(a2, m, c), a3 = hn::MulAdd(a3, m, c);
    a4 = hn::MulAdd(a4, m, c), a5 = hn::MulAdd(a5, m, c), a6 = hn::MulAdd(a6, m, c), a7 = hn::MulAdd(a7, m, c);
    a8 = hn::MulAdd(a8, m, c), a9 = hn::MulAdd(a9, m, c), a10 = hn::MulAdd(a10, m, c), a11 = hn::MulAdd(a11, m, c);
  }
  const auto sum = hn::Add(hn::Add(hn::Add(a0, a1), hn::Add(a2, a3)), hn::Add(hn::Add(a4, a5), hn::Add(a6, a7)));
  *sink += hn::GetLane(hn::Add(sum, hn::Add(hn::Add(a8, a9), hn::Add(a10, a11))));
  return 2.0 * 12.0 * static_cast<double>(hn::Lanes(d) * rounds);
}

// Reads `count` floats, a multiple of 128.
void read(const float* from, uint64_t count, float* sink) {
  const hn::ScalableTag<float> d;
  const uint64_t lanes = hn::Lanes(d);
  auto a = hn::Zero(d), b = a, e = a, f = a;
  for (uint64_t i = 0; i < count; i += 4 * lanes) {
    a = hn::Add(a, hn::LoadU(d, from + i)), b = hn::Add(b, hn::LoadU(d, from + i + lanes));
    e = hn::Add(e, hn::LoadU(d, from + i + 2 * lanes)), f = hn::Add(f, hn::LoadU(d, from + i + 3 * lanes));
  }
  *sink += hn::GetLane(hn::Add(hn::Add(a, b), hn::Add(e, f)));
}

}  // namespace trireme::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>
#include <vector>

#include "trireme/base/thread_pool.h"
#include "trireme/runtime/trace.h"

namespace trireme::bench {

HWY_EXPORT(multiply_add);
HWY_EXPORT(read);

namespace {

constexpr int kTries = 15;
constexpr uint64_t kStep = 128;  // floats

// Units per second of work() (units done) on every thread of the pool, best of several tries.
template <class Work>
double best_rate(Work&& work) {
  ThreadPool& pool = ThreadPool::shared();
  std::vector<double> done(pool.threads());
  double best = 0.0;
  for (int i = 0; i < kTries; ++i) {
    const uint64_t begin = runtime::now_ns();
    pool.parallel_for(pool.threads(), 1, [&](uint64_t first, uint64_t last) {
      for (uint64_t k = first; k < last; ++k) done[k] = work(k);
    });
    double all = 0.0;
    for (const double each : done) all += each;
    best = std::max(best, all * 1e9 / static_cast<double>(runtime::now_ns() - begin));
  }
  return best;
}

}  // namespace

double peak_flops() {
  return best_rate([](uint64_t) {
    float sink = 0.0f;
    return HWY_DYNAMIC_DISPATCH(multiply_add)(1'000'000, &sink);
  });
}

double read_bandwidth(uint64_t bytes) {
  constexpr uint64_t kLeastBytes = 4'000'000;  // per try, else starting the threads would be timed
  const uint64_t threads = ThreadPool::shared().threads();
  const uint64_t count = std::max<uint64_t>(1, bytes / sizeof(float) / threads / kStep) * kStep;
  const uint64_t rounds = kLeastBytes / (count * sizeof(float)) + 1;
  const std::vector<std::vector<float>> parts(threads, std::vector<float>(count, 1.0f));
  return best_rate([&](uint64_t k) {
    float sink = 0.0f;
    for (uint64_t i = 0; i < rounds; ++i) HWY_DYNAMIC_DISPATCH(read)(parts[k].data(), count, &sink);
    return static_cast<double>(rounds * count * sizeof(float));
  });
}

double cache_probe() {
  constexpr uint64_t kFloats = 4096, kRounds = 1500;
  static const std::vector<float> values(kFloats, 1.0f);
  float sink = 0.0f;
  const uint64_t begin = runtime::now_ns();
  for (uint64_t i = 0; i < kRounds; ++i) HWY_DYNAMIC_DISPATCH(read)(values.data(), kFloats, &sink);
  return static_cast<double>(kRounds * kFloats * sizeof(float)) * 1e9 / static_cast<double>(runtime::now_ns() - begin);
}

}  // namespace trireme::bench
#endif
