// The micro kernel of 8-bit products by AVX512-VNNI (x86-64): 12 x 32 blocks of C, four neighbours along k per slot.
#include <algorithm>
#include <utility>

#include "chips/cpu/features.h"
#include "chips/cpu/gemm_int8.h"
#include "chips/cpu/targets.h"

#include <hwy/highway.h>

#if HWY_ARCH_X86_64
#include <immintrin.h>
#define TRIREME_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

namespace trireme::cpu {
namespace {

constexpr int64_t kRows = 12, kLanes = 16, kColumns = 2 * kLanes;

template <int64_t kUsed, int64_t kVectors, Int8Left kLeft>
TRIREME_VNNI void block(int64_t slots, const int32_t* a, const int32_t* b, int32_t* c, int64_t c_stride,
                        const int32_t* start) {
  __m512i sums[kUsed][kVectors];
#pragma GCC unroll 12
  for (int64_t r = 0; r < kUsed; ++r) {
#pragma GCC unroll 2
    for (int64_t v = 0; v < kVectors; ++v) {
      if (start == nullptr) sums[r][v] = _mm512_loadu_si512(c + r * c_stride + v * kLanes);
      else if (kLeft == Int8Left::kX) sums[r][v] = _mm512_loadu_si512(start + v * kLanes);
      else sums[r][v] = _mm512_set1_epi32(start[r]);
    }
  }
#pragma GCC unroll 4
  for (int64_t k = 0; k < slots; ++k, a += kRows, b += kColumns) {
    __m512i right[kVectors];
#pragma GCC unroll 2
    for (int64_t v = 0; v < kVectors; ++v) right[v] = _mm512_load_si512(b + v * kLanes);
#pragma GCC unroll 12
    for (int64_t r = 0; r < kUsed; ++r) {
      const __m512i left = _mm512_set1_epi32(a[r]);
#pragma GCC unroll 2
      for (int64_t v = 0; v < kVectors; ++v) {  // unsigned, then signed
        if (kLeft == Int8Left::kX) sums[r][v] = _mm512_dpbusd_epi32(sums[r][v], left, right[v]);
        else sums[r][v] = _mm512_dpbusd_epi32(sums[r][v], right[v], left);
      }
    }
  }
#pragma GCC unroll 12
  for (int64_t r = 0; r < kUsed; ++r) {
#pragma GCC unroll 2
    for (int64_t v = 0; v < kVectors; ++v) _mm512_storeu_si512(c + r * c_stride + v * kLanes, sums[r][v]);
  }
}

// The same for a few columns, with weights on the left: vectors run down the rows.
template <int64_t kUsedColumns>
TRIREME_VNNI void narrow_block(int64_t used_rows, int64_t slots, const int32_t* a, const int32_t* b, int32_t* c,
                               int64_t c_stride, const int32_t* start) {
  constexpr int64_t kChains = 4 / kUsedColumns;  // of sums that do not wait for each other
  const auto mask = static_cast<__mmask16>((1U << used_rows) - 1U);
  __m512i sums[kChains][kUsedColumns];
  alignas(64) int32_t column[kLanes] = {};
#pragma GCC unroll 4
  for (int64_t s = 0; s < kUsedColumns; ++s) {
    if (start == nullptr) {
      for (int64_t r = 0; r < used_rows; ++r) column[r] = c[r * c_stride + s];
    }
    sums[0][s] = _mm512_maskz_loadu_epi32(mask, start == nullptr ? column : start);
#pragma GCC unroll 4
    for (int64_t chain = 1; chain < kChains; ++chain) sums[chain][s] = _mm512_setzero_si512();
  }
  for (int64_t k = 0; k < slots; k += kChains) {
#pragma GCC unroll 4
    for (int64_t chain = 0; chain < kChains; ++chain) {
      if (k + chain >= slots) break;
      const __m512i left = _mm512_maskz_loadu_epi32(mask, a + (k + chain) * kRows);
#pragma GCC unroll 4
      for (int64_t s = 0; s < kUsedColumns; ++s) {
        const __m512i right = _mm512_set1_epi32(b[(k + chain) * kColumns + s]);
        sums[chain][s] = _mm512_dpbusd_epi32(sums[chain][s], right, left);
      }
    }
  }
#pragma GCC unroll 4
  for (int64_t s = 0; s < kUsedColumns; ++s) {
#pragma GCC unroll 4
    for (int64_t chain = 1; chain < kChains; ++chain) sums[0][s] = _mm512_add_epi32(sums[0][s], sums[chain][s]);
    _mm512_store_si512(column, sums[0][s]);
    for (int64_t r = 0; r < used_rows; ++r) c[r * c_stride + s] = column[r];
  }
}

template <int64_t kVectors, Int8Left kLeft, int64_t... kUsed>
void pick(int64_t used, int64_t slots, const int32_t* a, const int32_t* b, int32_t* c, int64_t c_stride,
          const int32_t* start, std::integer_sequence<int64_t, kUsed...>) {
  (void)((used == kUsed + 1 && (block<kUsed + 1, kVectors, kLeft>(slots, a, b, c, c_stride, start), true)) || ...);
}
template <Int8Left kLeft>
void run(int64_t used_rows, int64_t used_columns, int64_t slots, const int32_t* a, const int32_t* b, int32_t* c,
         int64_t c_stride, const int32_t* start) {
  constexpr auto rows = std::make_integer_sequence<int64_t, kRows>();
  if (kLeft == Int8Left::kWeights && (used_columns - 1) % kLanes < 4) {
    const int64_t whole = (used_columns - 1) / kLanes * kLanes;
    if (whole > 0) pick<1, kLeft>(used_rows, slots, a, b, c, c_stride, start, rows);
    switch (used_columns - whole) {
      case 1: return narrow_block<1>(used_rows, slots, a, b + whole, c + whole, c_stride, start);
      case 2: return narrow_block<2>(used_rows, slots, a, b + whole, c + whole, c_stride, start);
      case 3: return narrow_block<3>(used_rows, slots, a, b + whole, c + whole, c_stride, start);
      default: return narrow_block<4>(used_rows, slots, a, b + whole, c + whole, c_stride, start);
    }
  }
  if (used_columns <= kLanes) return pick<1, kLeft>(used_rows, slots, a, b, c, c_stride, start, rows);
  pick<2, kLeft>(used_rows, slots, a, b, c, c_stride, start, rows);
}

TRIREME_VNNI void slots_of_x(const uint8_t* const* rows, bool flips, int64_t panels, int64_t step, int32_t* to) {
  constexpr __mmask16 kAll = 0xFFFF;  // the forms without a mask make GCC 12 warn
  // 16 bytes of four lines are a square of 4 x 4 numbers of 32 bits, turned by the first shuffle; then squares of
  // bytes.
  const __m512i words = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i bytes =
      _mm512_maskz_broadcast_i32x4(kAll, _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  const __m512i flipped = _mm512_set1_epi8(flips ? static_cast<char>(0x80) : 0);
  const auto load = [&](int64_t t, int64_t at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[t] + at));
  };
  for (int64_t panel = 0; panel < panels; ++panel, to += step) {
#pragma GCC unroll 2
    for (int64_t v = 0; v < kColumns; v += kLanes) {
      const int64_t at = panel * kColumns + v;
      const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(load(0, at)), load(1, at), 1);
      const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(load(2, at)), load(3, at), 1);
      const __m512i all = _mm512_maskz_inserti64x4(0xFF, _mm512_castsi256_si512(low), high, 1);
      const __m512i slots = _mm512_shuffle_epi8(_mm512_maskz_permutexvar_epi32(kAll, words, all), bytes);
      _mm512_storeu_si512(to + v, _mm512_xor_si512(slots, flipped));
    }
  }
}

}  // namespace

const Int8Kernel* vnni_kernel() {
  static const Int8Kernel kernel = {kRows, kColumns, 4, run<Int8Left::kX>, run<Int8Left::kWeights>, slots_of_x};
  static const bool usable_here = has_vnni();
  return usable_here ? &kernel : nullptr;
}

}  // namespace trireme::cpu

#else

namespace trireme::cpu {
const Int8Kernel* vnni_kernel() { return nullptr; }
}  // namespace trireme::cpu

#endif
