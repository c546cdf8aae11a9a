#include "chips/cpu/indirect_kernel.h"

#include "chips/cpu/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "chips/cpu/indirect_kernel.cc"
#include <hwy/foreach_target.h>
// After foreach_target:
#include <hwy/highway.h>

#include <algorithm>
#include <utility>

#include "chips/cpu/finish-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::cpu::HWY_NAMESPACE {
namespace {

// Rows of a block two vectors wide: with 32 registers 12, with 16 registers 6.
#if HWY_TARGET <= HWY_AVX3
constexpr int64_t kRows = 12;
#elif HWY_TARGET == HWY_NEON
constexpr int64_t kRows = 8;
#else
constexpr int64_t kRows = 6;
#endif
constexpr int64_t kSlice = 256;  // so many terms are summed before they join the total: long sums keep their digits
constexpr int64_t kPixels = 4;   // of a depthwise block, which is two vectors wide as well

using D = FloatTag;
using V = FloatVector;

template <int64_t kUsed, int64_t kVectors>
void block_of(int64_t used_columns, int64_t taps, int64_t run, const float* const* left,
              const float* HWY_RESTRICT right, float* const* to, const float* const* added, const Finish& finish) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V sums[kUsed][kVectors];
#pragma GCC unroll 12
  for (int64_t r = 0; r < kUsed; ++r) {
#pragma GCC unroll 2
    for (int64_t v = 0; v < kVectors; ++v) sums[r][v] = hn::Zero(d);
  }
  HWY_ALIGN float totals[kUsed * kVectors * hn::MaxLanes(d)];
  bool long_sum = false;
  int64_t terms = 0;
  for (int64_t t = 0; t < taps; ++t, left += kRows) {
    const float* rows[kUsed];
#pragma GCC unroll 12
    for (int64_t r = 0; r < kUsed; ++r) rows[r] = left[r];
    for (int64_t from = 0; from < run; from += kSlice) {
      const int64_t end = std::min(run, from + kSlice);
      if (terms + end - from > kSlice) {
#pragma GCC unroll 12
        for (int64_t r = 0; r < kUsed; ++r) {
#pragma GCC unroll 2
          for (int64_t v = 0; v < kVectors; ++v) {
            float* total = totals + (r * kVectors + v) * lanes;
            hn::Store(long_sum ? hn::Add(hn::Load(d, total), sums[r][v]) : sums[r][v], d, total);
            sums[r][v] = hn::Zero(d);
          }
        }
        long_sum = true;
        terms = 0;
      }
      terms += end - from;
#pragma GCC unroll 4
      for (int64_t k = from; k < end; ++k, right += kVectors * lanes) {
        V b[kVectors];
#pragma GCC unroll 2
        for (int64_t v = 0; v < kVectors; ++v) b[v] = hn::LoadU(d, right + v * lanes);
#pragma GCC unroll 12
        for (int64_t r = 0; r < kUsed; ++r) {
          const V x = hn::Set(d, rows[r][k]);
#pragma GCC unroll 2
          for (int64_t v = 0; v < kVectors; ++v) sums[r][v] = hn::MulAdd(x, b[v], sums[r][v]);
        }
      }
    }
  }
  if (long_sum) {
#pragma GCC unroll 12
    for (int64_t r = 0; r < kUsed; ++r) {
#pragma GCC unroll 2
      for (int64_t v = 0; v < kVectors; ++v) {
        sums[r][v] = hn::Add(hn::Load(d, totals + (r * kVectors + v) * lanes), sums[r][v]);
      }
    }
  }
#pragma GCC unroll 2
  for (int64_t v = 0; v < kVectors; ++v) {
    const V scale = finish.scale ? hn::LoadU(d, finish.scale + v * lanes) : hn::Set(d, 1.0f);
    const V bias = finish.bias ? hn::LoadU(d, finish.bias + v * lanes) : hn::Zero(d);
#pragma GCC unroll 12
    for (int64_t r = 0; r < kUsed; ++r) {
      store_finished(d, hn::MulAdd(sums[r][v], scale, bias), v, used_columns, to[r], added ? added[r] : nullptr,
                     finish);
    }
  }
}

using Block = void (*)(int64_t, int64_t, int64_t, const float* const*, const float*, float* const*, const float* const*,
                       const Finish&);
template <int64_t kVectors, size_t... kIndex>
Block block_for(int64_t used_rows, std::index_sequence<kIndex...>) {
  static constexpr Block kBlocks[] = {block_of<static_cast<int64_t>(kIndex) + 1, kVectors>...};
  return kBlocks[used_rows - 1];
}
void block(int64_t used_rows, int64_t used_columns, int64_t taps, int64_t run, const float* const* left,
           const float* right, float* const* to, const float* const* added, const Finish& finish) {
  constexpr std::make_index_sequence<kRows> kIndices;
  const bool narrow = used_columns <= static_cast<int64_t>(hn::Lanes(D()));
  (narrow ? block_for<1>(used_rows, kIndices) : block_for<2>(used_rows, kIndices))(used_columns, taps, run, left, right,
                                                                                   to, added, finish);
}

template <int64_t kVectors>
void depthwise_channels(int64_t pixels, int64_t taps, int64_t channels, int64_t at, int64_t used,
                        const float* const* left, const float* HWY_RESTRICT weights, float* const* to,
                        const float* const* added, const Finish& finish) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto mask = hn::FirstN(d, static_cast<size_t>(std::min(used, lanes)));
  const bool whole = used >= kVectors * lanes;  // else there is one vector, and it is not full
  const auto load = [&](const float* from) { return whole ? hn::LoadU(d, from) : hn::MaskedLoad(mask, d, from); };
  for (int64_t first = 0; first < pixels; first += kPixels) {
    const int64_t here = std::min(kPixels, pixels - first);
    V sums[kPixels][kVectors];
    const float* const* rows[kPixels];
#pragma GCC unroll 4
    for (int64_t p = 0; p < kPixels; ++p) {
      rows[p] = left + (first + std::min(p, here - 1)) * taps;
#pragma GCC unroll 2
      for (int64_t v = 0; v < kVectors; ++v) sums[p][v] = hn::Zero(d);
    }
    for (int64_t t = 0; t < taps; ++t) {
#pragma GCC unroll 2
      for (int64_t v = 0; v < kVectors; ++v) {
        const V w = load(weights + t * channels + at + v * lanes);
#pragma GCC unroll 4
        for (int64_t p = 0; p < kPixels; ++p) {
          sums[p][v] = hn::MulAdd(load(rows[p][t] + at + v * lanes), w, sums[p][v]);
        }
      }
    }
#pragma GCC unroll 2
    for (int64_t v = 0; v < kVectors; ++v) {
      const V scale = finish.scale ? load(finish.scale + at + v * lanes) : hn::Set(d, 1.0f);
      const V bias = finish.bias ? load(finish.bias + at + v * lanes) : hn::Zero(d);
#pragma GCC unroll 4
      for (int64_t p = 0; p < kPixels; ++p) {
        if (p >= here) break;
        store_finished(d, hn::MulAdd(sums[p][v], scale, bias), v, used, to[first + p] + at,
                       added ? added[first + p] + at : nullptr, finish);
      }
    }
  }
}
void depthwise(int64_t pixels, int64_t taps, int64_t channels, const float* const* left, const float* weights,
               float* const* to, const float* const* added, const Finish& finish) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(D()));
  int64_t at = 0;
  for (; at + 2 * lanes <= channels; at += 2 * lanes) {
    depthwise_channels<2>(pixels, taps, channels, at, 2 * lanes, left, weights, to, added, finish);
  }
  for (; at < channels; at += lanes) {
    depthwise_channels<1>(pixels, taps, channels, at, std::min(lanes, channels - at), left, weights, to, added, finish);
  }
}

IndirectKernel kernel() {
  const auto lanes = static_cast<int64_t>(hn::Lanes(D()));
  return {kRows, 2 * lanes, lanes, block, depthwise};
}

}  // namespace
}  // namespace trireme::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme::cpu {

HWY_EXPORT(kernel);

const IndirectKernel& indirect_kernel() {
  static const IndirectKernel best = HWY_DYNAMIC_DISPATCH(kernel)();
  return best;
}

}  // namespace trireme::cpu
#endif
