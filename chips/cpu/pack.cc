#include <algorithm>
#include <cstring>
#include <type_traits>

#include "chips/cpu/gemm.h"
#include "chips/cpu/tile_float.h"

namespace trireme::cpu {
namespace {

// A contiguous run of memory, widened to T.
template <class T, class S>
void load_run(T* to, const S* from, int64_t count) {
  if constexpr (std::is_same_v<T, S>) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(T));
  } else {
    load_half_floats(to, from, static_cast<size_t>(count), std::is_same_v<S, BFloat16>);
  }
}
template <class T, class S>
T widened(S x) {
  return static_cast<T>(x);
}

template <class T, class S>
void pack(const S* source, int64_t k_stride, int64_t n_stride, int64_t k, int64_t n, int64_t width, T* panels) {
  constexpr int64_t kRun = 32;
  for (int64_t j = 0; j < n; j += width, panels += k * width) {
    const int64_t used = std::min(width, n - j);
    const S* from = source + j * n_stride;
    if constexpr (std::is_same_v<T, S>) {
      const MicroKernel<T>& kernel = micro_kernel<T>();
      if (used == width && (n_stride == 1 || k_stride == 1)) {
        if (n_stride == 1) kernel.pack_rows(from, k_stride, k, width, panels);
        else kernel.pack_columns(from, n_stride, k, width, panels);
        continue;
      }
    }
    if (used < width) std::fill_n(panels, k * width, T{0});
    if (n_stride == 1) {
      for (int64_t p = 0; p < k; ++p) load_run(panels + p * width, from + p * k_stride, used);
    } else if (k_stride == 1) {  // short runs along k, so that the panel's lines stay near
      for (int64_t p = 0; p < k; p += kRun) {
        const int64_t run = std::min(kRun, k - p);
        for (int64_t s = 0; s < used; ++s) {
          T values[kRun];
          load_run(values, from + p + s * n_stride, run);
          T* to = panels + p * width + s;
          for (int64_t t = 0; t < run; ++t) to[t * width] = values[t];
        }
      }
    } else {
      for (int64_t p = 0; p < k; ++p) {
        for (int64_t s = 0; s < used; ++s) panels[p * width + s] = widened<T>(from[p * k_stride + s * n_stride]);
      }
    }
  }
}

}  // namespace

template <>
void pack_panels<float>(const MatrixView& b, int64_t k, int64_t n, int64_t width, float* panels) {
  const auto as = [&]<class S>() {
    pack(static_cast<const S*>(b.data), b.row_stride, b.column_stride, k, n, width, panels);
  };
  if (b.type == f16) as.operator()<Half>();
  else if (b.type == bf16) as.operator()<BFloat16>();
  else as.operator()<float>();
}
template <>
void pack_panels<double>(const MatrixView& b, int64_t k, int64_t n, int64_t width, double* panels) {
  pack(static_cast<const double*>(b.data), b.row_stride, b.column_stride, k, n, width, panels);
}

}  // namespace trireme::cpu
