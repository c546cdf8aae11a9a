// The matrix product behind fc and convolutions, on the host: C = A B, where rows of A and B are made on the fly.
#pragma once

#include <cstdint>
#include <functional>

namespace baidu::xpu::api::detail {

// What a product reads and where its results go. Acc is float, or double for fixed-point numbers, whose products and
// sums it holds exactly (up to 2^53).
template <class Acc>
struct Product {
  int64_t m, n, k;
  // Writes A[i][from ... from + count) to `row`.
  std::function<void(int64_t i, int64_t from, int64_t count, Acc* row)> a;
  // Writes B[l][from ... from + count) to `row`.
  std::function<void(int64_t l, int64_t from, int64_t count, Acc* row)> b;
  // Takes C[i][from ... from + count). Called once for each element, from several threads.
  std::function<void(int64_t i, int64_t from, int64_t count, const Acc* row)> c;
};

template <class Acc>
void multiply(const Product<Acc>& product);

}  // namespace baidu::xpu::api::detail
