// Micro kernels of the matrix product, for each instruction set.
#include "chips/cpu/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "chips/cpu/gemm_kernel.cc"
#include <hwy/foreach_target.h>
// After foreach_target:
#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <utility>

#include "chips/cpu/gemm.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace {

// Rows of C in registers, two vectors wide: with 32 registers 12, with 16 registers 6.
#if HWY_TARGET <= HWY_AVX3
constexpr int64_t kRows = 12;
#elif HWY_TARGET == HWY_NEON
constexpr int64_t kRows = 8;
#else
constexpr int64_t kRows = 6;
#endif

template <class T, int64_t kUsed>
void block(int64_t inner, const T* HWY_RESTRICT a, const T* HWY_RESTRICT b, T* HWY_RESTRICT c, int64_t c_stride,
           bool add) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  // C is needed only at the end: ask for its lines now.
  for (int64_t r = 0; r < kUsed; ++r) {
    hwy::Prefetch(c + r * c_stride);
    hwy::Prefetch(c + r * c_stride + lanes);
  }
  V left[kUsed], right[kUsed];
#pragma GCC unroll 12
  for (int64_t r = 0; r < kUsed; ++r) left[r] = right[r] = hn::Zero(d);
#pragma GCC unroll 4
  for (int64_t k = 0; k < inner; ++k) {
    const V b0 = hn::Load(d, b), b1 = hn::Load(d, b + lanes);
#pragma GCC unroll 12
    for (int64_t r = 0; r < kUsed; ++r) {
      const V x = hn::Set(d, a[r]);
      left[r] = hn::MulAdd(x, b0, left[r]);
      right[r] = hn::MulAdd(x, b1, right[r]);
    }
    a += kRows;
    b += 2 * lanes;
  }
#pragma GCC unroll 12
  for (int64_t r = 0; r < kUsed; ++r) {
    T* row = c + r * c_stride;
    if (add) {
      left[r] = hn::Add(left[r], hn::LoadU(d, row));
      right[r] = hn::Add(right[r], hn::LoadU(d, row + lanes));
    }
    hn::StoreU(left[r], d, row);
    hn::StoreU(right[r], d, row + lanes);
  }
}

template <class T>
using Block = void (*)(int64_t, const T*, const T*, T*, int64_t, bool);
template <class T, size_t... kIndex>
void run_block(int64_t used_rows, int64_t inner, const T* a, const T* b, T* c, int64_t c_stride, bool add,
               std::index_sequence<kIndex...>) {
  static constexpr Block<T> kBlocks[] = {block<T, static_cast<int64_t>(kIndex) + 1>...};
  kBlocks[used_rows - 1](inner, a, b, c, c_stride, add);
}
template <class T>
void run(int64_t used_rows, int64_t inner, const T* a, const T* b, T* c, int64_t c_stride, bool add) {
  run_block(used_rows, inner, a, b, c, c_stride, add, std::make_index_sequence<kRows>{});
}

// Eight rows of b at a time, so y is read and written once per eight.
template <class T>
void row_times(int64_t k, int64_t n, const T* x, int64_t x_stride, const T* b, int64_t b_stride, T* y) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + 8 <= k; i += 8, b += 8 * b_stride, x += 8 * x_stride) {
    T w[8];
    for (int64_t t = 0; t < 8; ++t) w[t] = x[t * x_stride];
    int64_t j = 0;
    for (; j + lanes <= n; j += lanes) {
      auto even = hn::LoadU(d, y + j);
      auto odd = hn::Mul(hn::Set(d, w[1]), hn::LoadU(d, b + b_stride + j));
      even = hn::MulAdd(hn::Set(d, w[0]), hn::LoadU(d, b + j), even);
#pragma GCC unroll 3
      for (int64_t t = 2; t < 8; t += 2) {
        even = hn::MulAdd(hn::Set(d, w[t]), hn::LoadU(d, b + t * b_stride + j), even);
        odd = hn::MulAdd(hn::Set(d, w[t + 1]), hn::LoadU(d, b + (t + 1) * b_stride + j), odd);
      }
      hn::StoreU(hn::Add(even, odd), d, y + j);
    }
    for (; j < n; ++j) {
      T sum = y[j];
      for (int64_t t = 0; t < 8; ++t) sum += w[t] * b[t * b_stride + j];
      y[j] = sum;
    }
  }
  for (; i < k; ++i, b += b_stride, x += x_stride) {
    for (int64_t j = 0; j < n; ++j) y[j] += *x * b[j];
  }
}

template <class T>
T dot(int64_t k, const T* x, const T* y) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  int64_t i = 0;
  for (; i + 4 * lanes <= k; i += 4 * lanes) {
    s0 = hn::MulAdd(hn::LoadU(d, x + i), hn::LoadU(d, y + i), s0);
    s1 = hn::MulAdd(hn::LoadU(d, x + i + lanes), hn::LoadU(d, y + i + lanes), s1);
    s2 = hn::MulAdd(hn::LoadU(d, x + i + 2 * lanes), hn::LoadU(d, y + i + 2 * lanes), s2);
    s3 = hn::MulAdd(hn::LoadU(d, x + i + 3 * lanes), hn::LoadU(d, y + i + 3 * lanes), s3);
  }
  for (; i + lanes <= k; i += lanes) s0 = hn::MulAdd(hn::LoadU(d, x + i), hn::LoadU(d, y + i), s0);
  T sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))));
  for (; i < k; ++i) sum += x[i] * y[i];
  return sum;
}

template <class T, int64_t kVectors>
void correlate_vectors(int64_t taps, const T* w, const int64_t* offsets, const T* x, T* y) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<decltype(d)> sums[kVectors];
#pragma GCC unroll 4
  for (int64_t v = 0; v < kVectors; ++v) sums[v] = hn::Zero(d);
  for (int64_t t = 0; t < taps; ++t) {
    const auto scale = hn::Set(d, w[t]);
#pragma GCC unroll 4
    for (int64_t v = 0; v < kVectors; ++v) {
      sums[v] = hn::MulAdd(scale, hn::LoadU(d, x + offsets[t] + v * lanes), sums[v]);
    }
  }
#pragma GCC unroll 4
  for (int64_t v = 0; v < kVectors; ++v) hn::StoreU(sums[v], d, y + v * lanes);
}
template <class T>
void correlate(int64_t n, int64_t taps, const T* w, const int64_t* offsets, const T* x, T* y) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) correlate_vectors<T, 4>(taps, w, offsets, x + i, y + i);
  for (; i < n; i += lanes) correlate_vectors<T, 1>(taps, w, offsets, x + i, y + i);
}

template <class T>
void scale(int64_t n, T factor, T* values) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(hn::Mul(hn::Set(d, factor), hn::LoadU(d, values + i)), d, values + i);
  }
  for (; i < n; ++i) values[i] *= factor;
}

template <class T, int64_t kWidth>
void copy_rows(const T* from, int64_t k_stride, int64_t k, T* HWY_RESTRICT to) {
  for (int64_t p = 0; p < k; ++p, from += k_stride, to += kWidth) {
#pragma GCC unroll 32
    for (int64_t s = 0; s < kWidth; ++s) to[s] = from[s];
  }
}
template <class T>
void pack_rows(const T* from, int64_t k_stride, int64_t k, int64_t width, T* to) {
  constexpr auto kColumns = static_cast<int64_t>(2 * hn::MaxLanes(hn::ScalableTag<T>()));
  if (width == kColumns) copy_rows<T, kColumns>(from, k_stride, k, to);
  else copy_rows<T, kRows>(from, k_stride, k, to);
}

#if HWY_TARGET != HWY_SCALAR
// Group g of four lanes goes to to[g step].
template <class D, class V, class T>
HWY_INLINE void store_groups(D d, V v, T* to, int64_t step) {
  if constexpr (hn::MaxLanes(d) <= 4) {
    hn::StoreU(v, d, to);
  } else {
    const hn::Half<D> half;
    store_groups(half, hn::LowerHalf(half, v), to, step);
    store_groups(half, hn::UpperHalf(half, v), to + static_cast<int64_t>(hn::Lanes(half)) / 4 * step, step);
  }
}
#endif

// Four columns at a time are turned in registers; what is left over goes one by one.
template <class T>
void pack_columns(const T* from, int64_t n_stride, int64_t k, int64_t width, T* HWY_RESTRICT to) {
  int64_t p = 0;
#if HWY_TARGET != HWY_SCALAR
  if constexpr (sizeof(T) == 4) {
    const hn::ScalableTag<T> d;
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    for (; p + lanes <= k; p += lanes) {
      int64_t s = 0;
      for (; s + 4 <= width; s += 4) {
        const T* x = from + p + s * n_stride;
        T* y = to + p * width + s;
        const auto x0 = hn::LoadU(d, x), x1 = hn::LoadU(d, x + n_stride), x2 = hn::LoadU(d, x + 2 * n_stride),
                   x3 = hn::LoadU(d, x + 3 * n_stride);
        const auto low02 = hn::InterleaveLower(d, x0, x2), low13 = hn::InterleaveLower(d, x1, x3);
        const auto high02 = hn::InterleaveUpper(d, x0, x2), high13 = hn::InterleaveUpper(d, x1, x3);
        store_groups(d, hn::InterleaveLower(d, low02, low13), y, 4 * width);
        store_groups(d, hn::InterleaveUpper(d, low02, low13), y + width, 4 * width);
        store_groups(d, hn::InterleaveLower(d, high02, high13), y + 2 * width, 4 * width);
        store_groups(d, hn::InterleaveUpper(d, high02, high13), y + 3 * width, 4 * width);
      }
      for (; s < width; ++s) {
        for (int64_t t = 0; t < lanes; ++t) to[(p + t) * width + s] = from[p + t + s * n_stride];
      }
    }
  }
#endif
  for (; p < k; ++p) {
    for (int64_t s = 0; s < width; ++s) to[p * width + s] = from[p + s * n_stride];
  }
}

template <class T>
MicroKernel<T> kernel() {
  const hn::ScalableTag<T> d;
  return {kRows,          2 * static_cast<int64_t>(hn::Lanes(d)),
          run<T>,         row_times<T>,
          dot<T>,         correlate<T>,
          scale<T>,       pack_rows<T>,
          pack_columns<T>};
}
MicroKernel<float> kernel_f32() { return kernel<float>(); }
MicroKernel<double> kernel_f64() { return kernel<double>(); }

}  // namespace
}  // namespace trireme::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme::cpu {

HWY_EXPORT(kernel_f32);
HWY_EXPORT(kernel_f64);

template <>
const MicroKernel<float>& micro_kernel<float>() {
  static const MicroKernel<float> kernel = HWY_DYNAMIC_DISPATCH(kernel_f32)();
  return kernel;
}
template <>
const MicroKernel<double>& micro_kernel<double>() {
  static const MicroKernel<double> kernel = HWY_DYNAMIC_DISPATCH(kernel_f64)();
  return kernel;
}

}  // namespace trireme::cpu
#endif
