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
constexpr int64_t kSlice = 256;    // so many terms are summed before they join the total: long sums keep their digits
constexpr int64_t kRowPanels = 4;  // of a block of one row: it needs as many sums to hide the latency of one
constexpr int64_t kPixels = 4;     // of a depthwise block, which is two vectors wide as well

using D = FloatTag;
using V = FloatVector;

template <int64_t kUsed, int64_t kVectors>
void block_of(const IndirectBlock& block) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t run = block.run;
  const float* const* left = block.left;
  const float* HWY_RESTRICT right = block.right;
  constexpr int64_t kPanelVectors = std::min<int64_t>(kVectors, 2);  // of one line of a panel
  const int64_t panel_size = block.taps * run * kPanelVectors * lanes;
  V sums[kUsed][kVectors];
#pragma GCC unroll 12
  for (int64_t r = 0; r < kUsed; ++r) {
#pragma GCC unroll 8
    for (int64_t v = 0; v < kVectors; ++v) sums[r][v] = hn::Zero(d);
  }
  HWY_ALIGN float totals[kUsed * kVectors * hn::MaxLanes(d)];
  bool long_sum = false;
  int64_t terms = 0;
  for (int64_t t = 0; t < block.taps; ++t, left += kRows) {
    const float* rows[kUsed];
#pragma GCC unroll 12
    for (int64_t r = 0; r < kUsed; ++r) rows[r] = left[r];
    for (int64_t from = 0; from < run; from += kSlice) {
      const int64_t end = std::min(run, from + kSlice);
      if (terms + end - from > kSlice) {
#pragma GCC unroll 12
        for (int64_t r = 0; r < kUsed; ++r) {
#pragma GCC unroll 8
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
      for (int64_t k = from; k < end; ++k, right += kPanelVectors * lanes) {
        V b[kVectors];
#pragma GCC unroll 8
        for (int64_t v = 0; v < kVectors; ++v) {
          b[v] = hn::LoadU(d, right + v / kPanelVectors * panel_size + v % kPanelVectors * lanes);
        }
#pragma GCC unroll 12
        for (int64_t r = 0; r < kUsed; ++r) {
          const V x = hn::Set(d, rows[r][k]);
#pragma GCC unroll 8
          for (int64_t v = 0; v < kVectors; ++v) sums[r][v] = hn::MulAdd(x, b[v], sums[r][v]);
        }
      }
    }
  }
  if (long_sum) {
#pragma GCC unroll 12
    for (int64_t r = 0; r < kUsed; ++r) {
#pragma GCC unroll 8
      for (int64_t v = 0; v < kVectors; ++v) {
        sums[r][v] = hn::Add(hn::Load(d, totals + (r * kVectors + v) * lanes), sums[r][v]);
      }
    }
  }
  const Finish& finish = block.finish;
  const Bounds bounds(finish);
#pragma GCC unroll 8
  for (int64_t v = 0; v < kVectors; ++v) {
    const int64_t used = block.columns - v * lanes;
    const int64_t at = block.at + v * lanes;
    const V scale = finish.scale ? hn::LoadU(d, finish.scale + at) : hn::Set(d, 1.0f);
    const V bias = finish.bias ? hn::LoadU(d, finish.bias + at) : hn::Zero(d);
#pragma GCC unroll 12
    for (int64_t r = 0; r < kUsed; ++r) {
      const V sum = hn::MulAdd(sums[r][v], scale, bias);
      const float* added = block.added ? block.added[r] + at : nullptr;
      if (used >= lanes) store_finished<true>(sum, lanes, block.to[r] + at, added, bounds);
      else store_finished<false>(sum, used, block.to[r] + at, added, bounds);
    }
  }
}

using Block = void (*)(const IndirectBlock&);
template <int64_t kVectors, size_t... kIndex>
Block block_for(int64_t rows, std::index_sequence<kIndex...>) {
  static constexpr Block kBlocks[] = {block_of<static_cast<int64_t>(kIndex) + 1, kVectors>...};
  return kBlocks[rows - 1];
}
void block(const IndirectBlock& block) {
  constexpr std::make_index_sequence<kRows> kIndices;
  const auto lanes = static_cast<int64_t>(hn::Lanes(D()));
  if (block.columns <= lanes) return block_for<1>(block.rows, kIndices)(block);
  if (block.columns <= 2 * lanes) return block_for<2>(block.rows, kIndices)(block);
  block_of<1, 2 * kRowPanels>(block);
}

// Channels [at, at + used) of the first `here` of kPixels pixels.
template <int64_t kVectors, bool kWhole>
void depthwise_channels(int64_t here, int64_t taps, int64_t channels, int64_t at, int64_t used,
                        const float* const* const* rows, const int64_t* shift, const float* HWY_RESTRICT weights,
                        float* const* to, const float* const* added, const Finish& finish) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto mask = hn::FirstN(d, static_cast<size_t>(std::min(used, lanes)));
  const auto load = [&](const float* from) {
    if constexpr (kWhole) return hn::LoadU(d, from);
    else return hn::MaskedLoad(mask, d, from);
  };
  V sums[kPixels][kVectors];
#pragma GCC unroll 4
  for (int64_t p = 0; p < kPixels; ++p) {
#pragma GCC unroll 2
    for (int64_t v = 0; v < kVectors; ++v) sums[p][v] = hn::Zero(d);
  }
  for (int64_t t = 0; t < taps; ++t) {
    V w[kVectors];
#pragma GCC unroll 2
    for (int64_t v = 0; v < kVectors; ++v) w[v] = load(weights + t * channels + at + v * lanes);
#pragma GCC unroll 4
    for (int64_t p = 0; p < kPixels; ++p) {
      const float* from = rows[p][t] + shift[p] + at;
#pragma GCC unroll 2
      for (int64_t v = 0; v < kVectors; ++v) sums[p][v] = hn::MulAdd(load(from + v * lanes), w[v], sums[p][v]);
    }
  }
  const Bounds bounds(finish);
#pragma GCC unroll 2
  for (int64_t v = 0; v < kVectors; ++v) {
    const V scale = finish.scale ? load(finish.scale + at + v * lanes) : hn::Set(d, 1.0f);
    const V bias = finish.bias ? load(finish.bias + at + v * lanes) : hn::Zero(d);
#pragma GCC unroll 4
    for (int64_t p = 0; p < kPixels; ++p) {
      if (p >= here) break;
      const float* other = added ? added[p] + at + v * lanes : nullptr;
      store_finished<kWhole>(hn::MulAdd(sums[p][v], scale, bias), used, to[p] + at + v * lanes, other, bounds);
    }
  }
}
// Pixels before channels: the channels of a pixel are neighbours, which is what the processor fetches ahead.
void depthwise(int64_t pixels, int64_t taps, int64_t channels, const float* const* const* left, const int64_t* shift,
               const float* weights, float* const* to, const float* const* added, const Finish& finish) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(D()));
  for (int64_t first = 0; first < pixels; first += kPixels) {
    const int64_t here = std::min(kPixels, pixels - first);
    const float* const* rows[kPixels];
    int64_t shifts[kPixels];
    for (int64_t p = 0; p < kPixels; ++p) {
      rows[p] = left[first + std::min(p, here - 1)];
      shifts[p] = shift[first + std::min(p, here - 1)];
    }
    const auto run = [&](const auto& some, int64_t at, int64_t used) {
      some(here, taps, channels, at, used, rows, shifts, weights, to + first, added ? added + first : nullptr, finish);
    };
    int64_t at = 0;
    for (; at + 2 * lanes <= channels; at += 2 * lanes) run(depthwise_channels<2, true>, at, 2 * lanes);
    if (at + lanes <= channels) run(depthwise_channels<1, true>, at, lanes), at += lanes;
    if (at < channels) run(depthwise_channels<1, false>, at, channels - at);
  }
}

IndirectKernel kernel() {
  const auto lanes = static_cast<int64_t>(hn::Lanes(D()));
  return {kRows, 2 * lanes, lanes, kRowPanels, block, depthwise};
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
