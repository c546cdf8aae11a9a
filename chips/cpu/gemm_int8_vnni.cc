// The micro kernel of 8-bit products by AVX512-VNNI (x86-64): 12 x 32 blocks of C, four neighbours along k per slot.
#include <algorithm>
#include <cstdlib>
#include <utility>

#include "chips/cpu/gemm_int8.h"
#include "chips/cpu/targets.h"

#include <hwy/highway.h>

#if HWY_ARCH_X86_64
#include <cpuid.h>
#include <immintrin.h>
#define TRIREME_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

namespace trireme::cpu {
namespace {

constexpr int64_t kRows = 12, kLanes = 16, kColumns = 2 * kLanes;

bool usable() {
  if (std::getenv("TRIREME_CPU_ISA") || (supported_targets() & HWY_AVX3) == 0) return false;
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kVnni = 1U << 11;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (c & kVnni) != 0;
}

template <int64_t kUsed, Int8Left kLeft>
TRIREME_VNNI void block(int64_t slots, const int32_t* a, const int32_t* b, int32_t* c, int64_t c_stride,
                        const int32_t* start) {
  __m512i left[kUsed], right[kUsed];
#pragma GCC unroll 12
  for (int64_t r = 0; r < kUsed; ++r) {
    if (start == nullptr) {
      left[r] = _mm512_loadu_si512(c + r * c_stride);
      right[r] = _mm512_loadu_si512(c + r * c_stride + kLanes);
    } else if (kLeft == Int8Left::kX) {
      left[r] = _mm512_loadu_si512(start);
      right[r] = _mm512_loadu_si512(start + kLanes);
    } else {
      left[r] = right[r] = _mm512_set1_epi32(start[r]);
    }
  }
  for (int64_t k = 0; k < slots; ++k, a += kRows, b += kColumns) {
    const __m512i b0 = _mm512_load_si512(b), b1 = _mm512_load_si512(b + kLanes);
#pragma GCC unroll 12
    for (int64_t r = 0; r < kUsed; ++r) {
      const __m512i x = _mm512_set1_epi32(a[r]);
      if (kLeft == Int8Left::kX) {  // unsigned, then signed
        left[r] = _mm512_dpbusd_epi32(left[r], x, b0);
        right[r] = _mm512_dpbusd_epi32(right[r], x, b1);
      } else {
        left[r] = _mm512_dpbusd_epi32(left[r], b0, x);
        right[r] = _mm512_dpbusd_epi32(right[r], b1, x);
      }
    }
  }
#pragma GCC unroll 12
  for (int64_t r = 0; r < kUsed; ++r) {
    _mm512_storeu_si512(c + r * c_stride, left[r]);
    _mm512_storeu_si512(c + r * c_stride + kLanes, right[r]);
  }
}

template <Int8Left kLeft, int64_t... kUsed>
void pick(int64_t used, int64_t slots, const int32_t* a, const int32_t* b, int32_t* c, int64_t c_stride,
          const int32_t* start, std::integer_sequence<int64_t, kUsed...>) {
  (void)((used == kUsed + 1 && (block<kUsed + 1, kLeft>(slots, a, b, c, c_stride, start), true)) || ...);
}
template <Int8Left kLeft>
void run(int64_t used_rows, int64_t slots, const int32_t* a, const int32_t* b, int32_t* c, int64_t c_stride,
         const int32_t* start) {
  pick<kLeft>(used_rows, slots, a, b, c, c_stride, start, std::make_integer_sequence<int64_t, kRows>());
}

}  // namespace

const Int8Kernel* vnni_kernel() {
  static const Int8Kernel kernel = {kRows, kColumns, 4, run<Int8Left::kX>, run<Int8Left::kWeights>};
  static const bool usable_here = usable();
  return usable_here ? &kernel : nullptr;
}

}  // namespace trireme::cpu

#else

namespace trireme::cpu {
const Int8Kernel* vnni_kernel() { return nullptr; }
}  // namespace trireme::cpu

#endif
