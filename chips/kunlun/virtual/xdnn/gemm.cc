#include "chips/kunlun/virtual/xdnn/gemm.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "chips/kunlun/virtual/xdnn/launch.h"

namespace baidu::xpu::api::detail {
namespace {

// A block of A (kRows x kDepth) and one of B (kDepth x kColumns) stay in the second-level cache.
constexpr int64_t kRows = 96, kDepth = 256, kColumns = 256;

// C (rows x kWide) += A B, `Lanes` bytes of a vector at a time. Rows of A are kDepth apart, those of B and C kColumns.
template <class Acc, int kLaneBytes, int kTile, int kVectors>
[[gnu::always_inline]] inline void tile(int64_t depth, const Acc* a, const Acc* b, Acc* c) {
  typedef Acc Vector __attribute__((vector_size(kLaneBytes), aligned(alignof(Acc)), may_alias));
  constexpr int kLanes = kLaneBytes / static_cast<int>(sizeof(Acc));
  Vector sum[kTile][kVectors];
  for (int i = 0; i < kTile; ++i) {
    for (int v = 0; v < kVectors; ++v) sum[i][v] = *reinterpret_cast<const Vector*>(c + i * kColumns + v * kLanes);
  }
  for (int64_t l = 0; l < depth; ++l) {
    Vector row[kVectors];
    for (int v = 0; v < kVectors; ++v) row[v] = *reinterpret_cast<const Vector*>(b + l * kColumns + v * kLanes);
    for (int i = 0; i < kTile; ++i) {
      const Acc factor = a[i * kDepth + l];
      for (int v = 0; v < kVectors; ++v) sum[i][v] += factor * row[v];
    }
  }
  for (int i = 0; i < kTile; ++i) {
    for (int v = 0; v < kVectors; ++v) *reinterpret_cast<Vector*>(c + i * kColumns + v * kLanes) = sum[i][v];
  }
}

template <class Acc, int kLaneBytes, int kTile, int kVectors>
[[gnu::always_inline]] inline void block(int64_t rows, int64_t columns, int64_t depth, const Acc* a, const Acc* b,
                                         Acc* c) {
  constexpr int64_t kWide = kLaneBytes / static_cast<int>(sizeof(Acc)) * kVectors;
  for (int64_t j = 0; j < columns; j += kWide) {  // what is beyond `columns` is there, and of no use
    int64_t i = 0;
    for (; i + kTile <= rows; i += kTile) {
      tile<Acc, kLaneBytes, kTile, kVectors>(depth, a + i * kDepth, b + j, c + i * kColumns + j);
    }
    for (; i < rows; ++i) tile<Acc, kLaneBytes, 1, kVectors>(depth, a + i * kDepth, b + j, c + i * kColumns + j);
  }
}

template <class Acc>
using Block = void (*)(int64_t rows, int64_t columns, int64_t depth, const Acc* a, const Acc* b, Acc* c);

template <class Acc>
void block_plain(int64_t rows, int64_t columns, int64_t depth, const Acc* a, const Acc* b, Acc* c) {
  block<Acc, 16, 4, 2>(rows, columns, depth, a, b, c);
}
#if defined(__x86_64__)
template <class Acc>
__attribute__((target("avx2,fma"))) void block_avx2(int64_t rows, int64_t columns, int64_t depth, const Acc* a,
                                                    const Acc* b, Acc* c) {
  block<Acc, 32, 4, 2>(rows, columns, depth, a, b, c);
}
template <class Acc>
__attribute__((target("avx512f,prefer-vector-width=512"))) void block_avx512(int64_t rows, int64_t columns,
                                                                             int64_t depth, const Acc* a, const Acc* b,
                                                                             Acc* c) {
  block<Acc, 64, 8, 2>(rows, columns, depth, a, b, c);
}
#endif

template <class Acc>
Block<Acc> best_block() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return block_avx512<Acc>;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return block_avx2<Acc>;
#endif
  return block_plain<Acc>;
}

// Columns [first, last) of C.
template <class Acc>
void multiply_columns(const Product<Acc>& product, int64_t first, int64_t last) {
  static const Block<Acc> run = best_block<Acc>();
  std::vector<Acc> a(kRows * kDepth), b(kDepth * kColumns), c;
  for (int64_t j = first; j < last; j += kColumns) {
    const int64_t columns = std::min(kColumns, last - j);
    c.assign(static_cast<size_t>(product.m * kColumns), Acc{0});
    for (int64_t l = 0; l < product.k; l += kDepth) {
      const int64_t depth = std::min(kDepth, product.k - l);
      for (int64_t i = 0; i < depth; ++i) product.b(l + i, j, columns, b.data() + i * kColumns);
      for (int64_t i = 0; i < product.m; i += kRows) {
        const int64_t rows = std::min(kRows, product.m - i);
        for (int64_t r = 0; r < rows; ++r) product.a(i + r, l, depth, a.data() + r * kDepth);
        run(rows, columns, depth, a.data(), b.data(), c.data() + i * kColumns);
      }
    }
    for (int64_t i = 0; i < product.m; ++i) product.c(i, j, columns, c.data() + i * kColumns);
  }
}

}  // namespace

template <class Acc>
void multiply(const Product<Acc>& product) {
  // Pieces of columns that two threads can share out evenly.
  const int64_t piece = std::clamp<int64_t>((product.n / 2 + 31) / 32 * 32, 32, kColumns);
  const int64_t pieces = (product.n + piece - 1) / piece;
  parallel(pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) multiply_columns(product, i * piece, std::min(product.n, (i + 1) * piece));
  });
}

template void multiply(const Product<float>&);
template void multiply(const Product<double>&);

}  // namespace baidu::xpu::api::detail
