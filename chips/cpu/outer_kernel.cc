#include "chips/cpu/outer_kernel.h"

#include "chips/cpu/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "chips/cpu/outer_kernel.cc"
#include <hwy/foreach_target.h>
// After foreach_target:
#include <hwy/highway.h>

#include <algorithm>
#include <utility>

HWY_BEFORE_NAMESPACE();
namespace trireme::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace {

// Rows of a block two vectors wide: with 32 registers 12, with 16 registers 6.
#if HWY_TARGET <= HWY_AVX3
constexpr int64_t kRows = 12;
#elif HWY_TARGET == HWY_NEON
constexpr int64_t kRows = 8;
#else
constexpr int64_t kRows = 6;
#endif

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

template <int64_t kUsed, int64_t kVectors, bool kWhole>
void block_of(int64_t used_columns, int64_t count, const float* const* left, int64_t first,
              const float* HWY_RESTRICT right, int64_t step, float* HWY_RESTRICT total) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto mask = hn::FirstN(d, static_cast<size_t>(used_columns - (kVectors - 1) * lanes));
  V sums[kUsed][kVectors];
#pragma GCC unroll 12
  for (int64_t r = 0; r < kUsed; ++r) {
#pragma GCC unroll 2
    for (int64_t v = 0; v < kVectors; ++v) sums[r][v] = hn::Zero(d);
  }
#pragma GCC unroll 4
  for (int64_t k = 0; k < count; ++k, right += step) {
    const float* row = left[k] + first;
    V b[kVectors];
    if constexpr (kVectors == 2) b[0] = hn::LoadU(d, right);
    const float* last = right + (kVectors - 1) * lanes;
    b[kVectors - 1] = kWhole ? hn::LoadU(d, last) : hn::MaskedLoad(mask, d, last);
#pragma GCC unroll 12
    for (int64_t r = 0; r < kUsed; ++r) {
      const V x = hn::Set(d, row[r]);
#pragma GCC unroll 2
      for (int64_t v = 0; v < kVectors; ++v) sums[r][v] = hn::MulAdd(x, b[v], sums[r][v]);
    }
  }
#pragma GCC unroll 12
  for (int64_t r = 0; r < kUsed; ++r) {
#pragma GCC unroll 2
    for (int64_t v = 0; v < kVectors; ++v, total += lanes) {
      hn::StoreU(hn::Add(hn::LoadU(d, total), sums[r][v]), d, total);
    }
  }
}

using Block = void (*)(int64_t, int64_t, const float* const*, int64_t, const float*, int64_t, float*);
template <int64_t kVectors, bool kWhole, size_t... kIndex>
Block block_for(int64_t used_rows, std::index_sequence<kIndex...>) {
  static constexpr Block kBlocks[] = {block_of<static_cast<int64_t>(kIndex) + 1, kVectors, kWhole>...};
  return kBlocks[used_rows - 1];
}
void block(int64_t used_rows, int64_t used_columns, int64_t count, const float* const* left, int64_t first,
           const float* right, int64_t step, float* sums) {
  constexpr std::make_index_sequence<kRows> kIndices;
  const auto lanes = static_cast<int64_t>(hn::Lanes(D()));
  const bool whole = used_columns % lanes == 0;
  Block run;
  if (used_columns <= lanes)
    run = whole ? block_for<1, true>(used_rows, kIndices) : block_for<1, false>(used_rows, kIndices);
  else run = whole ? block_for<2, true>(used_rows, kIndices) : block_for<2, false>(used_rows, kIndices);
  run(used_columns, count, left, first, right, step, sums);
}

float inner(int64_t rows, int64_t count, const float* HWY_RESTRICT left, int64_t step,
            const float* HWY_RESTRICT right) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t whole = count / lanes * lanes;
  const auto mask = hn::FirstN(d, static_cast<size_t>(count - whole));
  V sums[2] = {hn::Zero(d), hn::Zero(d)};
  for (int64_t r = 0; r < rows; ++r, left += step, right += count) {
    V& sum = sums[r % 2];
    for (int64_t i = 0; i < whole; i += lanes) sum = hn::MulAdd(hn::LoadU(d, left + i), hn::LoadU(d, right + i), sum);
    if (whole == count) continue;
    sum = hn::MulAdd(hn::MaskedLoad(mask, d, left + whole), hn::MaskedLoad(mask, d, right + whole), sum);
  }
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(sums[0], sums[1])));
}

OuterKernel kernel() {
  const auto lanes = static_cast<int64_t>(hn::Lanes(D()));
  return {kRows, 2 * lanes, lanes, block, inner};
}

}  // namespace
}  // namespace trireme::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme::cpu {

HWY_EXPORT(kernel);

const OuterKernel& outer_kernel() {
  static const OuterKernel best = HWY_DYNAMIC_DISPATCH(kernel)();
  return best;
}

}  // namespace trireme::cpu
#endif
