// The micro kernel of bf16 products by AVX512-BF16 (x86-64): 12 x 32 blocks of C, f32 sums.
//
// A slot of a panel holds two neighbours along k. A panel of A is [k / 2][12 rows][2 of k], a panel of B
// [k / 2][32 columns][2 of k]. The instruction takes denormals for zero.
#include <algorithm>
#include <array>
#include <utility>

#include "chips/cpu/features.h"
#include "chips/cpu/gemm.h"
#include "chips/cpu/targets.h"

#include <hwy/highway.h>

#if HWY_ARCH_X86_64
#include <immintrin.h>
#define TRIREME_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))

namespace trireme::cpu {
namespace {

constexpr int64_t kRows = 12, kLanes = 16, kColumns = 2 * kLanes;

template <int64_t kUsed>
TRIREME_BF16 void block(int64_t slots, const float* a, const float* b, float* c, int64_t c_stride, bool add) {
  __m512 left[kUsed], right[kUsed];
#pragma GCC unroll 12
  for (int64_t r = 0; r < kUsed; ++r) left[r] = right[r] = _mm512_setzero_ps();
#pragma GCC unroll 4
  for (int64_t k = 0; k < slots; ++k, a += kRows, b += kColumns) {
    const auto b0 = reinterpret_cast<__m512bh>(_mm512_loadu_ps(b));
    const auto b1 = reinterpret_cast<__m512bh>(_mm512_loadu_ps(b + kLanes));
#pragma GCC unroll 12
    for (int64_t r = 0; r < kUsed; ++r) {
      const auto x = reinterpret_cast<__m512bh>(_mm512_set1_ps(a[r]));
      left[r] = _mm512_dpbf16_ps(left[r], x, b0);
      right[r] = _mm512_dpbf16_ps(right[r], x, b1);
    }
  }
#pragma GCC unroll 12
  for (int64_t r = 0; r < kUsed; ++r) {
    float* row = c + r * c_stride;
    if (add) {
      left[r] = _mm512_add_ps(_mm512_loadu_ps(row), left[r]);
      right[r] = _mm512_add_ps(_mm512_loadu_ps(row + kLanes), right[r]);
    }
    _mm512_storeu_ps(row, left[r]);
    _mm512_storeu_ps(row + kLanes, right[r]);
  }
}

void run(int64_t used_rows, int64_t inner, const float* a, const float* b, float* c, int64_t c_stride, bool add) {
  using Block = void (*)(int64_t, const float*, const float*, float*, int64_t, bool);
  static constexpr auto kBlocks = []<int64_t... r>(std::integer_sequence<int64_t, r...>) {
    return std::array<Block, kRows>{block<r + 1>...};
  }
  (std::make_integer_sequence<int64_t, kRows>());
  kBlocks[static_cast<size_t>(used_rows - 1)]((inner + 1) / 2, a, b, c, c_stride, add);
}

// Rows along k lie contiguous across the panel: two of them are interleaved.
TRIREME_BF16 void interleave(const uint16_t* even, const uint16_t* odd, int64_t count, uint32_t* to) {
  if (odd == nullptr) {
    for (int64_t s = 0; s < count; ++s) to[s] = even[s];
  } else {
    for (int64_t s = 0; s < count; ++s) to[s] = even[s] | static_cast<uint32_t>(odd[s]) << 16;
  }
}

void pack(const MatrixView& view, int64_t k, int64_t n, int64_t width, float* panels) {
  const auto* items = static_cast<const uint16_t*>(view.data);
  const int64_t slots = (k + 1) / 2, k_step = view.row_stride, n_step = view.column_stride;
  for (int64_t first = 0; first < n; first += width, items += width * n_step, panels += slots * width) {
    const int64_t used = std::min(width, n - first);
    auto* to = reinterpret_cast<uint32_t*>(panels);
    if (used < width) std::fill_n(to, slots * width, 0U);
    if (k_step == 1 && used == width && k % 2 == 0 && n_step % 2 == 0) {  // pairs lie as they must: moved like floats
      micro_kernel<float>().pack_columns(reinterpret_cast<const float*>(items), n_step / 2, slots, width, panels);
      continue;
    }
    for (int64_t slot = 0; slot < slots; ++slot, to += width) {
      const uint16_t* even = items + 2 * slot * k_step;
      const uint16_t* odd = 2 * slot + 1 < k ? even + k_step : nullptr;
      if (n_step == 1) {
        interleave(even, odd, used, to);
      } else {
        for (int64_t s = 0; s < used; ++s) {
          to[s] = even[s * n_step] | (odd ? static_cast<uint32_t>(odd[s * n_step]) << 16 : 0U);
        }
      }
    }
  }
}
void pack_a(const MatrixView& a, int64_t k, int64_t n, float* panels) { pack(a, k, n, kRows, panels); }
void pack_b(const MatrixView& b, int64_t k, int64_t n, float* panels) { pack(b, k, n, kColumns, panels); }

}  // namespace

const MicroKernel<float>* pair_kernel() {
  static const MicroKernel<float> kernel = [] {
    MicroKernel<float> k = micro_kernel<float>();
    k.rows = kRows;
    k.columns = kColumns;
    k.run = run;
    k.unit = 2;
    k.per_slot = 2;
    k.pack_a = pack_a;
    k.pack_b = pack_b;
    return k;
  }();
  static const bool usable_here = has_bf16_dot();
  return usable_here ? &kernel : nullptr;
}

}  // namespace trireme::cpu

#else

namespace trireme::cpu {
const MicroKernel<float>* pair_kernel() { return nullptr; }
}  // namespace trireme::cpu

#endif
