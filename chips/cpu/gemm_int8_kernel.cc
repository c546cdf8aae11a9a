// The micro kernels of 8-bit products that every instruction set has: numbers widened to i16, multiplied and added in
// pairs; and those for bytes as they are, where AVX2 or AVX-512 multiply them but add pairs of products in i16. Here
// too is what packs numbers into slots.
#include "chips/cpu/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "chips/cpu/gemm_int8_kernel.cc"
#include <hwy/foreach_target.h>
// After foreach_target:
#include <hwy/highway.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include "chips/cpu/gemm_int8.h"
#include "chips/cpu/kernel.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace {

// Rows of C in registers, two vectors wide: with 32 registers 12, with 16 registers 6.
#if HWY_TARGET <= HWY_AVX3
constexpr int64_t kRows = 12;
#else
constexpr int64_t kRows = 6;
#endif

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
constexpr int64_t kLanes = hn::MaxLanes(hn::ScalableTag<int32_t>());
using Sums = hn::Vec<hn::ScalableTag<int32_t>>;
HWY_INLINE Sums load(const int32_t* from) { return hn::LoadU(hn::ScalableTag<int32_t>(), from); }
HWY_INLINE Sums repeated(int32_t x) { return hn::Set(hn::ScalableTag<int32_t>(), x); }
HWY_INLINE void store(Sums sums, int32_t* to) { hn::StoreU(sums, hn::ScalableTag<int32_t>(), to); }
constexpr bool kHasBytes = true;
// sums + the products of the numbers of each slot: two of 16 bits, or four bytes if weights are within kInt8PairBound.
template <int64_t kPerSlot>
HWY_INLINE Sums multiply_add(Sums x, Sums w, Sums sums) {
  const hn::ScalableTag<int32_t> d;
  const hn::Repartition<int16_t, decltype(d)> pairs;
  auto left = hn::BitCast(pairs, x), right = hn::BitCast(pairs, w);
  if constexpr (kPerSlot == 4) {
#if HWY_TARGET == HWY_AVX2
    left.raw = _mm256_maddubs_epi16(x.raw, w.raw);
#else
    left.raw = _mm512_maddubs_epi16(x.raw, w.raw);
#endif
    right = hn::Set(pairs, 1);
  }
  Sums unused = hn::Zero(d);
  return hn::ReorderWidenMulAccumulate(d, left, right, sums, unused);
}
#else
constexpr int64_t kLanes = 4;
struct Sums {
  int32_t lane[kLanes];
};
HWY_INLINE Sums load(const int32_t* from) { return {{from[0], from[1], from[2], from[3]}}; }
HWY_INLINE Sums repeated(int32_t x) { return {{x, x, x, x}}; }
HWY_INLINE void store(Sums sums, int32_t* to) { std::copy_n(sums.lane, kLanes, to); }
constexpr bool kHasBytes = false;
template <int64_t kPerSlot>
HWY_INLINE Sums multiply_add(Sums x, Sums w, Sums sums) {
  static_assert(kPerSlot == 2);
  for (int64_t i = 0; i < kLanes; ++i) {
    const int32_t low = static_cast<int16_t>(x.lane[i]) * static_cast<int16_t>(w.lane[i]);
    const int32_t high = (x.lane[i] >> 16) * (w.lane[i] >> 16);
    sums.lane[i] = static_cast<int32_t>(static_cast<uint32_t>(sums.lane[i]) + static_cast<uint32_t>(low) +
                                        static_cast<uint32_t>(high));
  }
  return sums;
}
#endif

template <int64_t kUsed, int64_t kPerSlot, Int8Left kLeft>
void block(int64_t slots, const int32_t* HWY_RESTRICT a, const int32_t* HWY_RESTRICT b, int32_t* HWY_RESTRICT c,
           int64_t c_stride, const int32_t* HWY_RESTRICT start) {
  Sums left[kUsed], right[kUsed];
#pragma GCC unroll 12
  for (int64_t r = 0; r < kUsed; ++r) {
    if (start == nullptr) {
      left[r] = load(c + r * c_stride);
      right[r] = load(c + r * c_stride + kLanes);
    } else if constexpr (kLeft == Int8Left::kX) {
      left[r] = load(start);
      right[r] = load(start + kLanes);
    } else {
      left[r] = right[r] = repeated(start[r]);
    }
  }
  // Of x, whose lines are packed as they are; weights are packed once, and best read in one stream.
  constexpr bool kWholeLines = kLeft == Int8Left::kX;
  const int32_t* lines[kUsed];
#pragma GCC unroll 12
  for (int64_t r = 0; r < kUsed; ++r) lines[r] = a + r * slots;
#pragma GCC unroll 4
  for (int64_t k = 0; k < slots; ++k, a += kRows, b += 2 * kLanes) {
    const Sums b0 = load(b), b1 = load(b + kLanes);
#pragma GCC unroll 12
    for (int64_t r = 0; r < kUsed; ++r) {
      const Sums item = repeated(kWholeLines ? lines[r][k] : a[r]);
      if constexpr (kLeft == Int8Left::kX) {
        left[r] = multiply_add<kPerSlot>(item, b0, left[r]);
        right[r] = multiply_add<kPerSlot>(item, b1, right[r]);
      } else {
        left[r] = multiply_add<kPerSlot>(b0, item, left[r]);
        right[r] = multiply_add<kPerSlot>(b1, item, right[r]);
      }
    }
  }
#pragma GCC unroll 12
  for (int64_t r = 0; r < kUsed; ++r) {
    store(left[r], c + r * c_stride);
    store(right[r], c + r * c_stride + kLanes);
  }
}

template <int64_t kPerSlot, Int8Left kLeft, int64_t... kUsed>
void pick(int64_t used, int64_t slots, const int32_t* a, const int32_t* b, int32_t* c, int64_t c_stride,
          const int32_t* start, std::integer_sequence<int64_t, kUsed...>) {
  (void)((used == kUsed + 1 && (block<kUsed + 1, kPerSlot, kLeft>(slots, a, b, c, c_stride, start), true)) || ...);
}
template <int64_t kPerSlot, Int8Left kLeft>
void run(int64_t used_rows, int64_t, int64_t slots, const int32_t* a, const int32_t* b, int32_t* c, int64_t c_stride,
         const int32_t* start) {
  pick<kPerSlot, kLeft>(used_rows, slots, a, b, c, c_stride, start, std::make_integer_sequence<int64_t, kRows>());
}

// Int8Kernel::put where numbers are widened, and where they stay bytes.
template <class T>
HWY_INLINE void widen(const T* HWY_RESTRICT from, int32_t zero, int64_t count, int16_t* HWY_RESTRICT to) {
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<int16_t>(from[i] - zero);
}
void put_pairs(const XForm& x, const uint8_t* from, int64_t at, int64_t count, int32_t* line) {
  int16_t* to = reinterpret_cast<int16_t*>(line) + at;
  if (!from) std::fill_n(to, count, int16_t{0});
  else if (x.is_signed) widen(reinterpret_cast<const int8_t*>(from), x.zero, count, to);
  else widen(from, x.zero, count, to);
}
void put_bytes(const XForm& x, const uint8_t* HWY_RESTRICT from, int64_t at, int64_t count, int32_t* line) {
  uint8_t* HWY_RESTRICT to = reinterpret_cast<uint8_t*>(line) + at;
  const uint8_t flip = x.is_signed ? 0x80 : 0;
  if (!from) std::fill_n(to, count, static_cast<uint8_t>(x.padding() ^ flip));
  else if (flip == 0) std::memcpy(to, from, static_cast<size_t>(count));
  else
    for (int64_t i = 0; i < count; ++i) to[i] = from[i] ^ flip;
}

template <int64_t kPerSlot>
Int8Kernel kernel_of() {
  Int8Kernel kernel{.rows = kRows, .columns = 2 * kLanes, .per_slot = kPerSlot};
  kernel.run_x_left = run<kPerSlot, Int8Left::kX>;
  kernel.run_weights_left = run<kPerSlot, Int8Left::kWeights>;
  kernel.put = kPerSlot == 4 ? put_bytes : put_pairs;
  return kernel;
}
Int8Kernel kernel_of_pairs() { return kernel_of<2>(); }
std::optional<Int8Kernel> kernel_of_bytes() {
  if constexpr (kHasBytes) return kernel_of<4>();
  else return std::nullopt;
}

// Bytes of four lines side by side; plain loops, which the compiler turns into shuffles of this instruction set.
void four_bytes(const uint8_t* const* HWY_RESTRICT rows, int64_t count, uint32_t flip, int32_t* HWY_RESTRICT to) {
  const uint8_t *HWY_RESTRICT r0 = rows[0], *HWY_RESTRICT r1 = rows[1], *HWY_RESTRICT r2 = rows[2],
                              *HWY_RESTRICT r3 = rows[3];
  for (int64_t j = 0; j < count; ++j) {
    const uint32_t slot = r0[j] | uint32_t{r1[j]} << 8 | uint32_t{r2[j]} << 16 | uint32_t{r3[j]} << 24;
    to[j] = static_cast<int32_t>(slot ^ flip);
  }
}
template <class T>
HWY_INLINE void two_halves(const T* HWY_RESTRICT r0, const T* HWY_RESTRICT r1, int64_t count, int32_t zero,
                           int32_t* HWY_RESTRICT to) {
  for (int64_t j = 0; j < count; ++j) {
    to[j] = static_cast<int32_t>(static_cast<uint32_t>((r0[j] - zero) & 0xFFFF) | static_cast<uint32_t>(r1[j] - zero)
                                                                                      << 16);
  }
}
void two_unsigned(const uint8_t* r0, const uint8_t* r1, int64_t count, int32_t zero, int32_t* to) {
  two_halves(r0, r1, count, zero, to);
}
void two_signed(const int8_t* r0, const int8_t* r1, int64_t count, int32_t zero, int32_t* to) {
  two_halves(r0, r1, count, zero, to);
}

// Lines of x in panels.
void slots_of_x(const Int8Kernel& kernel, const XForm& x, const uint8_t* const* rows, int64_t panels, int64_t step,
                int32_t* to) {
  const int64_t width = kernel.columns;
  for (int64_t panel = 0; panel < panels; ++panel, to += step) {
    const int64_t at = panel * width;
    if (kernel.per_slot == 4) {
      const uint8_t* const here[] = {rows[0] + at, rows[1] + at, rows[2] + at, rows[3] + at};
      four_bytes(here, width, x.is_signed ? 0x80808080U : 0U, to);
    } else if (x.is_signed) {
      two_signed(reinterpret_cast<const int8_t*>(rows[0] + at), reinterpret_cast<const int8_t*>(rows[1] + at), width,
                 x.zero, to);
    } else {
      two_unsigned(rows[0] + at, rows[1] + at, width, x.zero, to);
    }
  }
}

}  // namespace
}  // namespace trireme::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme::cpu {

HWY_EXPORT(kernel_of_pairs);
HWY_EXPORT(kernel_of_bytes);
HWY_EXPORT(four_bytes);
HWY_EXPORT(two_signed);
HWY_EXPORT(slots_of_x);

namespace {

// pack_int8_lines where several slots of a line lie side by side, and so the bytes of the line.
void pack_deep_lines(const Int8Kernel& kernel, uint8_t flip, const uint8_t* from, int64_t stride, int64_t k,
                     int64_t used, int64_t width, int32_t* to) {
  const int64_t step = kernel.depth * kernel.per_slot;  // bytes
  auto* bytes = reinterpret_cast<uint8_t*>(to);
  for (int64_t p = 0; p < k; p += step) {
    const int64_t count = std::min(step, k - p);
    for (int64_t s = 0; s < width; ++s, bytes += step) {
      const int64_t here = s < used ? count : 0;
      for (int64_t i = 0; i < here; ++i) bytes[i] = from[s * stride + p + i] ^ flip;
      std::memset(bytes + here, 0, static_cast<size_t>(step - here));
    }
  }
}

}  // namespace

const Int8Kernel& int8_kernel() {
  static const Int8Kernel kernel = int8_tile_kernel() ? *int8_tile_kernel()
                                   : vnni_kernel()    ? *vnni_kernel()
                                                      : HWY_DYNAMIC_DISPATCH(kernel_of_pairs)();
  return kernel;
}

const Int8Kernel& int8_kernel_for(const TrmValue& w) {
  static const std::optional<Int8Kernel> bytes = HWY_DYNAMIC_DISPATCH(kernel_of_bytes)();
  if (!w.known || !bytes || int8_kernel().per_slot == 4) return int8_kernel();
  const DenseInput dense(w, w.constant_data);
  const auto* from = static_cast<const int8_t*>(dense.data());
  const bool within =
      std::all_of(from, from + chip::elements(w), [](int8_t item) { return std::abs(int{item}) <= kInt8PairBound; });
  return within ? *bytes : int8_kernel();
}

void int8_slots(const Int8Kernel& kernel, const XForm& x, const uint8_t* const* rows, int64_t panels, int64_t step,
                int32_t* to) {
  if (kernel.slots_of_x) return kernel.slots_of_x(rows, x.is_signed, panels, step, to);
  HWY_DYNAMIC_DISPATCH(slots_of_x)(kernel, x, rows, panels, step, to);
}

void int8_weight_slots(const Int8Kernel& kernel, const int8_t* const* rows, int64_t count, int32_t* to) {
  if (kernel.per_slot == 2) return HWY_DYNAMIC_DISPATCH(two_signed)(rows[0], rows[1], count, 0, to);
  HWY_DYNAMIC_DISPATCH(four_bytes)(reinterpret_cast<const uint8_t* const*>(rows), count, 0U, to);
}

void pack_int8_lines(const Int8Kernel& kernel, const XForm& x, const uint8_t* from, int64_t stride, int64_t k,
                     int64_t used, int64_t width, int32_t* to) {
  const uint32_t flip = x.is_signed ? 0x80808080U : 0U;
  if (kernel.put) {  // what stands behind k does not matter
    for (int64_t s = 0; s < used; ++s) kernel.put(x, from + s * stride, 0, k, to + s * kernel.slots(k));
    return;
  }
  if (kernel.depth > 1) {
    return pack_deep_lines(kernel, static_cast<uint8_t>(flip & 0xFF), from, stride, k, used, width, to);
  }
  const int64_t whole = k / kernel.per_slot, slots = kernel.slots(k);
  for (int64_t s = 0; s < width; ++s) {
    if (s >= used) {
      for (int64_t i = 0; i < slots; ++i) to[i * width + s] = 0;
      continue;
    }
    const uint8_t* line = from + s * stride;
    uint32_t slot = 0;
    for (int64_t i = 0; i < whole; ++i) {
      std::memcpy(&slot, line + 4 * i, 4);
      to[i * width + s] = static_cast<int32_t>(slot ^ flip);
    }
    if (whole == slots) continue;
    slot = 0;
    std::memcpy(&slot, line + 4 * whole, static_cast<size_t>(k - 4 * whole));
    to[whole * width + s] = static_cast<int32_t>(slot ^ flip);
  }
}

Int8Weights::Int8Weights(const Int8Kernel& kernel, Int8Left left, const int8_t* w, int64_t k_stride, int64_t n_stride,
                         int64_t k, int64_t n)
    : kernel_(kernel), k_(k), sums_() {
  const int64_t width = left == Int8Left::kWeights ? kernel.rows : kernel.columns;
  padded_ = (n + width - 1) / width * width;
  values_.assign(static_cast<size_t>(kernel.slots(k) * padded_), 0);
  sums_.assign(static_cast<size_t>(padded_), 0);
  parallel_for(padded_ / width, grain_for(k * width), [&](int64_t begin, int64_t end) {
    std::vector<int8_t> lines(static_cast<size_t>(kernel.per_slot * width));
    std::vector<int32_t> line(static_cast<size_t>(width));
    const int64_t depth = left == Int8Left::kWeights ? kernel.depth : 1;
    const int8_t* rows[4];
    for (int64_t t = 0; t < kernel.per_slot; ++t) rows[t] = lines.data() + t * width;
    for (int64_t panel = begin; panel < end; ++panel) {
      const int64_t first = panel * width, used = std::min(width, n - first);
      for (int64_t p = 0; p < k; p += kInt8Inner) {
        const int64_t inner = std::min(kInt8Inner, k - p), slots = kernel.slots(inner);
        int32_t* to = values_.data() + kernel.slots(p) * padded_ + first * slots;
        for (int64_t slot = 0; slot < slots; ++slot) {
          for (int64_t t = 0; t < kernel.per_slot; ++t) {
            const int64_t at = p + slot * kernel.per_slot + t;
            for (int64_t s = 0; s < width; ++s) {
              const int8_t item = at < p + inner && s < used ? w[at * k_stride + (first + s) * n_stride] : int8_t{0};
              lines[static_cast<size_t>(t * width + s)] = item;
              int32_t& sum = sums_[static_cast<size_t>(first + s)];
              sum = static_cast<int32_t>(static_cast<uint32_t>(sum) + static_cast<uint32_t>(item));
            }
          }
          if (depth == 1) {
            int8_weight_slots(kernel, rows, width, to + slot * width);
            continue;
          }
          int8_weight_slots(kernel, rows, width, line.data());
          int32_t* first_row = to + slot / depth * depth * width + slot % depth;
          for (int64_t s = 0; s < width; ++s) first_row[s * depth] = line[static_cast<size_t>(s)];
        }
      }
    }
  });
}

std::vector<int32_t> Int8Weights::start(int32_t correction) const {
  std::vector<int32_t> out(sums_.size());
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<int32_t>(0U - static_cast<uint32_t>(correction) * static_cast<uint32_t>(sums_[i]));
  }
  return out;
}

}  // namespace trireme::cpu
#endif
