// The steps of a chain on a few vectors that stay in registers from the sums to the results.
#include "chips/cpu/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "chips/cpu/sum_chain_kernel.cc"
#include <hwy/foreach_target.h>
// After foreach_target:
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "chips/cpu/sum_chain.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace {

using Tag = hn::ScalableTag<float>;
using Vector = hn::Vec<Tag>;
constexpr Tag kTag;
constexpr int64_t kLanes = hn::MaxLanes(kTag);

#if HWY_TARGET == HWY_AVX3
// Four vectors as u8. What is too large is cut first; what is too small, or no number, is the least integer or negative
// behind the conversion, and packed as 0.
HWY_INLINE void store_unsigned(const Vector* v, bool rounds, uint8_t* to) {
  const __m512 high = _mm512_set1_ps(255.0F);
  __m512i whole[4];
#pragma GCC unroll 4
  for (int64_t i = 0; i < 4; ++i) {
    const __m512 cut = _mm512_min_ps(high, v[i].raw);  // the second where either is no number
    whole[i] = rounds ? _mm512_cvtps_epi32(cut) : _mm512_cvttps_epi32(cut);
  }
  // Packing goes by blocks of 128 bits: block b then holds four numbers of each vector.
  const __m512i packed =
      _mm512_packus_epi16(_mm512_packs_epi32(whole[0], whole[1]), _mm512_packs_epi32(whole[2], whole[3]));
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  _mm512_storeu_si512(to, _mm512_permutexvar_epi32(order, packed));
}
#endif

// The first `count` elements; Highway's portable masked load reads all of them.
template <class D, class T>
HWY_INLINE hn::Vec<D> load_part(D d, const T* from, int64_t count) {
  count = std::clamp<int64_t>(count, 0, kLanes);
#if TRIREME_PORTABLE_TARGET
  HWY_ALIGN T part[kLanes] = {};
  std::copy_n(from, count, part);
  return hn::Load(d, part);
#else
  return hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(count)), d, from);
#endif
}

// Elements [column, column + used) of row `row`; used is kVectors * kLanes unless kPartly.
template <int64_t kVectors, bool kPartly>
HWY_INLINE void piece(std::span<const ChainLink> links, const ChainEnd& end, int64_t row, int64_t column, int64_t used,
                      const int32_t* HWY_RESTRICT sums) {
  const hn::Rebind<int32_t, Tag> integers;
  Vector v[kVectors];
#pragma GCC unroll 4
  for (int64_t i = 0; i < kVectors; ++i) {
    const int32_t* from = sums + i * kLanes;
    if constexpr (kPartly) v[i] = hn::ConvertTo(kTag, load_part(integers, from, used - i * kLanes));
    else v[i] = hn::ConvertTo(kTag, hn::LoadU(integers, from));
  }
  for (const ChainLink& link : links) {
    float* at = link.at + row * link.row_step + (link.everywhere ? 0 : column);
    const auto each = [&](const auto& step) HWY_ATTR {
      if (link.everywhere) {
        const Vector operand = hn::Set(kTag, *at);
#pragma GCC unroll 4
        for (int64_t i = 0; i < kVectors; ++i) v[i] = step(v[i], operand);
        return;
      }
#pragma GCC unroll 4
      for (int64_t i = 0; i < kVectors; ++i) {
        if constexpr (kPartly) v[i] = step(v[i], load_part(kTag, at + i * kLanes, used - i * kLanes));
        else v[i] = step(v[i], hn::LoadU(kTag, at + i * kLanes));
      }
    };
    switch (link.op) {
      case LinkOp::kMultiply: each([](Vector a, Vector b) HWY_ATTR { return hn::Mul(a, b); }); break;
      case LinkOp::kAdd: each([](Vector a, Vector b) HWY_ATTR { return hn::Add(a, b); }); break;
      case LinkOp::kLow: each([](Vector a, Vector b) HWY_ATTR { return hn::IfThenElse(hn::Lt(a, b), b, a); }); break;
      case LinkOp::kHigh: each([](Vector a, Vector b) HWY_ATTR { return hn::IfThenElse(hn::Gt(a, b), b, a); }); break;
      case LinkOp::kStore:
#pragma GCC unroll 4
        for (int64_t i = 0; i < kVectors; ++i) {
          const auto count = static_cast<size_t>(std::clamp<int64_t>(used - i * kLanes, 0, kLanes));
          if constexpr (kPartly) hn::BlendedStore(v[i], hn::FirstN(kTag, count), kTag, at + i * kLanes);
          else hn::StoreU(v[i], kTag, at + i * kLanes);
        }
        break;
    }
  }
  if (!end.narrows) return;
  uint8_t* to = end.at + row * end.row_step + column;
#if HWY_TARGET == HWY_AVX3
  if constexpr (kVectors == 4 && !kPartly) {
    if (!end.is_signed) return store_unsigned(v, end.rounds, to);
  }
#endif
  const Vector low = hn::Set(kTag, end.is_signed ? -128.0F : 0.0F),
               high = hn::Set(kTag, end.is_signed ? 127.0F : 255.0F);
#pragma GCC unroll 4
  for (int64_t i = 0; i < kVectors; ++i) {
    // Cut before it is rounded: the ends are whole numbers.
    const Vector cut = hn::Min(hn::Max(hn::IfThenElseZero(hn::Eq(v[i], v[i]), v[i]), low), high);
    const auto whole = end.rounds ? hn::NearestInt(cut) : hn::ConvertTo(integers, cut);
    const hn::Rebind<uint8_t, Tag> bytes;
    const auto narrow =
        end.is_signed ? hn::BitCast(bytes, hn::DemoteTo(hn::Rebind<int8_t, Tag>(), whole)) : hn::DemoteTo(bytes, whole);
    if constexpr (kPartly) {
      HWY_ALIGN uint8_t stored[kLanes];
      hn::StoreU(narrow, bytes, stored);
      if (used > i * kLanes)
        std::memcpy(to + i * kLanes, stored, static_cast<size_t>(std::min(kLanes, used - i * kLanes)));
    } else {
      hn::StoreU(narrow, bytes, to + i * kLanes);
    }
  }
}

void run(std::span<const ChainLink> links, const ChainEnd& end, int64_t rows, int64_t count,
         const int32_t* HWY_RESTRICT sums, int64_t sum_step) {
  constexpr int64_t kStep = 4 * kLanes;
  for (int64_t row = 0; row < rows; ++row, sums += sum_step) {
    int64_t column = 0;
    for (; column + kStep <= count; column += kStep) piece<4, false>(links, end, row, column, kStep, sums + column);
    for (; column + kLanes <= count; column += kLanes) piece<1, false>(links, end, row, column, kLanes, sums + column);
    if (count > column) piece<1, true>(links, end, row, column, count - column, sums + column);
  }
}

}  // namespace
}  // namespace trireme::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme::cpu {

HWY_EXPORT(run);

void run_sum_chain(std::span<const ChainLink> links, const ChainEnd& end, int64_t rows, int64_t count,
                   const int32_t* sums, int64_t sum_step) {
  HWY_DYNAMIC_DISPATCH(run)(links, end, rows, count, sums, sum_step);
}

}  // namespace trireme::cpu
#endif
