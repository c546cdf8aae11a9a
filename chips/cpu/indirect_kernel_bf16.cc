// The indirect kernel for bf16 by AVX512-BF16 (x86-64): what it reads as a float holds two neighbours along k.
//
// The instruction takes denormals for zero.
#include <algorithm>
#include <array>
#include <utility>

#include "chips/cpu/features.h"
#include "chips/cpu/indirect_kernel.h"
#include "chips/cpu/targets.h"

#include <hwy/highway.h>

#if HWY_ARCH_X86_64
#include <immintrin.h>
#define TRIREME_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))

namespace trireme::cpu {
namespace {

constexpr int64_t kRows = 12, kLanes = 16;
constexpr int64_t kSlice = 128;  // so many pairs are summed before they join the total: long sums keep their digits

// As store_finished in finish-inl.h.
TRIREME_BF16 inline void store(__m512 sum, int64_t v, int64_t used, float* to, const float* added,
                               const Finish& finish) {
  const int64_t left = std::min(kLanes, used - v * kLanes);
  const auto mask = static_cast<__mmask16>((1U << left) - 1U);
  if (added) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, added + v * kLanes));
  const __m512 low = _mm512_set1_ps(finish.low), high = _mm512_set1_ps(finish.high);
  sum = _mm512_mask_mov_ps(sum, _mm512_cmp_ps_mask(sum, low, _CMP_LT_OQ), low);
  sum = _mm512_mask_mov_ps(sum, _mm512_cmp_ps_mask(sum, high, _CMP_GT_OQ), high);
  _mm512_mask_storeu_ps(to + v * kLanes, mask, sum);
}

template <int64_t kUsed, int64_t kVectors>
TRIREME_BF16 void block_of(const IndirectBlock& block) {
  const int64_t run = block.run;
  const float* const* left = block.left;
  const float* right = block.right;
  __m512 sums[kUsed][kVectors];
#pragma GCC unroll 12
  for (int64_t r = 0; r < kUsed; ++r) {
#pragma GCC unroll 2
    for (int64_t v = 0; v < kVectors; ++v) sums[r][v] = _mm512_setzero_ps();
  }
  alignas(64) float totals[kUsed][kVectors][kLanes];
  bool long_sum = false;
  const auto join = [&]() TRIREME_BF16 {
#pragma GCC unroll 12
    for (int64_t r = 0; r < kUsed; ++r) {
#pragma GCC unroll 2
      for (int64_t v = 0; v < kVectors; ++v) {
        if (long_sum) sums[r][v] = _mm512_add_ps(_mm512_load_ps(totals[r][v]), sums[r][v]);
      }
    }
  };
  int64_t terms = 0;
  for (int64_t t = 0; t < block.taps; ++t, left += kRows) {
    const float* rows[kUsed];
#pragma GCC unroll 12
    for (int64_t r = 0; r < kUsed; ++r) rows[r] = left[r];
    for (int64_t from = 0; from < run; from += kSlice) {
      const int64_t end = std::min(run, from + kSlice);
      if (terms + end - from > kSlice) {
        join();
#pragma GCC unroll 12
        for (int64_t r = 0; r < kUsed; ++r) {
#pragma GCC unroll 2
          for (int64_t v = 0; v < kVectors; ++v) {
            _mm512_store_ps(totals[r][v], sums[r][v]);
            sums[r][v] = _mm512_setzero_ps();
          }
        }
        long_sum = true;
        terms = 0;
      }
      terms += end - from;
#pragma GCC unroll 4
      for (int64_t k = from; k < end; ++k, right += kVectors * kLanes) {
        __m512bh b[kVectors];
#pragma GCC unroll 2
        for (int64_t v = 0; v < kVectors; ++v) {
          b[v] = reinterpret_cast<__m512bh>(_mm512_loadu_ps(right + v * kLanes));
        }
#pragma GCC unroll 12
        for (int64_t r = 0; r < kUsed; ++r) {
          const auto x = reinterpret_cast<__m512bh>(_mm512_set1_ps(rows[r][k]));
#pragma GCC unroll 2
          for (int64_t v = 0; v < kVectors; ++v) sums[r][v] = _mm512_dpbf16_ps(sums[r][v], x, b[v]);
        }
      }
    }
  }
  join();
#pragma GCC unroll 2
  for (int64_t v = 0; v < kVectors; ++v) {
    const Finish& finish = block.finish;
    const int64_t at = block.at + v * kLanes;
    const __m512 scale = finish.scale ? _mm512_loadu_ps(finish.scale + at) : _mm512_set1_ps(1.0f);
    const __m512 bias = finish.bias ? _mm512_loadu_ps(finish.bias + at) : _mm512_setzero_ps();
#pragma GCC unroll 12
    for (int64_t r = 0; r < kUsed; ++r) {
      store(_mm512_fmadd_ps(sums[r][v], scale, bias), v, block.columns, block.to[r] + block.at,
            block.added ? block.added[r] + block.at : nullptr, finish);
    }
  }
}

template <int64_t kVectors>
void block_for(const IndirectBlock& block) {
  static constexpr auto kBlocks = []<int64_t... r>(std::integer_sequence<int64_t, r...>) {
    return std::array{block_of<r + 1, kVectors>...};
  }
  (std::make_integer_sequence<int64_t, kRows>());
  kBlocks[static_cast<size_t>(block.rows - 1)](block);
}
void block(const IndirectBlock& block) { (block.columns <= kLanes ? block_for<1> : block_for<2>)(block); }

}  // namespace

const IndirectKernel* pair_indirect_kernel() {
  static const IndirectKernel kernel = {kRows, 2 * kLanes, kLanes, 1, block, nullptr};
  static const bool usable_here = has_bf16_dot();
  return usable_here ? &kernel : nullptr;
}

}  // namespace trireme::cpu

#else

namespace trireme::cpu {
const IndirectKernel* pair_indirect_kernel() { return nullptr; }
}  // namespace trireme::cpu

#endif
