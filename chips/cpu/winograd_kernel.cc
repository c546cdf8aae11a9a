#include "chips/cpu/winograd_kernel.h"

#include "chips/cpu/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "chips/cpu/winograd_kernel.cc"
#include <hwy/foreach_target.h>
// After foreach_target:
#include <hwy/highway.h>

#include <algorithm>

#include "chips/cpu/finish-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::cpu::HWY_NAMESPACE {
namespace {

using V = FloatVector;

// B' d along one axis: four values `step` apart.
HWY_INLINE void transform(V* d, int64_t step) {
  const V a = d[0], b = d[step], c = d[2 * step], e = d[3 * step];
  d[0] = hn::Sub(a, c);
  d[step] = hn::Add(b, c);
  d[2 * step] = hn::Sub(c, b);
  d[3 * step] = hn::Sub(b, e);
}

template <class Load, class Store>
HWY_INLINE void image_vector(const Load& load, const Store& store) {
  V d[kWinogradPositions];
#pragma GCC unroll 16
  for (int64_t i = 0; i < kWinogradPositions; ++i) d[i] = load(i);
#pragma GCC unroll 4
  for (int64_t row = 0; row < 4; ++row) transform(d + 4 * row, 1);
#pragma GCC unroll 4
  for (int64_t column = 0; column < 4; ++column) transform(d + column, 4);
#pragma GCC unroll 16
  for (int64_t i = 0; i < kWinogradPositions; ++i) store(i, d[i]);
}

void image(const float* const* from, int64_t channels, float* to, int64_t step) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t c = 0;
  for (; c + lanes <= channels; c += lanes) {
    image_vector([&](int64_t i) { return hn::LoadU(d, from[i] + c); },
                 [&](int64_t i, V v) { hn::StoreU(v, d, to + i * step + c); });
  }
  if (c == channels) return;
  const auto mask = hn::FirstN(d, static_cast<size_t>(channels - c));
  image_vector([&](int64_t i) { return hn::MaskedLoad(mask, d, from[i] + c); },
               [&](int64_t i, V v) { hn::BlendedStore(v, mask, d, to + i * step + c); });
}

bool result(const float* from, int64_t step, int64_t columns, float* const* to, const float* const* added,
            const Finish& finish) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const Bounds bounds(finish);
  bool finite = true;
  for (int64_t v = 0; v * lanes < columns; ++v) {
    const int64_t used = columns - v * lanes;
    V m[kWinogradPositions];
#pragma GCC unroll 16
    for (int64_t i = 0; i < kWinogradPositions; ++i) m[i] = hn::LoadU(d, from + i * step + v * lanes);
    V rows[8];  // A' m: two rows of four
#pragma GCC unroll 4
    for (int64_t c = 0; c < 4; ++c) {
      rows[c] = hn::Add(hn::Add(m[c], m[4 + c]), m[8 + c]);
      rows[4 + c] = hn::Sub(hn::Sub(m[4 + c], m[8 + c]), m[12 + c]);
    }
    const V scale = finish.scale ? hn::LoadU(d, finish.scale + v * lanes) : hn::Set(d, 1.0f);
    const V bias = finish.bias ? hn::LoadU(d, finish.bias + v * lanes) : hn::Zero(d);
#pragma GCC unroll 2
    for (int64_t r = 0; r < 2; ++r) {
      const V* row = rows + 4 * r;
      const V sums[2] = {hn::Add(hn::Add(row[0], row[1]), row[2]), hn::Sub(hn::Sub(row[1], row[2]), row[3])};
#pragma GCC unroll 2
      for (int64_t c = 0; c < 2; ++c) {
        const int64_t i = 2 * r + c;
        finite &= hn::AllTrue(d, hn::IsFinite(sums[c]));
        if (!to[i]) continue;
        const V sum = hn::MulAdd(sums[c], scale, bias);
        const float* other = added ? added[i] + v * lanes : nullptr;
        if (used >= lanes) store_finished<true>(sum, lanes, to[i] + v * lanes, other, bounds);
        else store_finished<false>(sum, used, to[i] + v * lanes, other, bounds);
      }
    }
  }
  return finite;
}

void gradient(const float* const* from, int64_t columns, float* to, int64_t step) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t s = 0; s < columns; s += lanes) {
    const bool whole = s + lanes <= columns;
    const auto mask = hn::FirstN(d, static_cast<size_t>(std::min(lanes, columns - s)));
    V g[4];
#pragma GCC unroll 4
    for (int64_t i = 0; i < 4; ++i) g[i] = whole ? hn::LoadU(d, from[i] + s) : hn::MaskedLoad(mask, d, from[i] + s);
    // A g: four rows of two.
    const V rows[8] = {
        g[0],          g[1],         hn::Add(g[0], g[2]), hn::Add(g[1], g[3]), hn::Sub(g[0], g[2]), hn::Sub(g[1], g[3]),
        hn::Neg(g[2]), hn::Neg(g[3])};
#pragma GCC unroll 4
    for (int64_t r = 0; r < 4; ++r) {
      const V a = rows[2 * r], b = rows[2 * r + 1];
      float* line = to + 4 * r * step + s;
      hn::StoreU(a, d, line);
      hn::StoreU(hn::Add(a, b), d, line + step);
      hn::StoreU(hn::Sub(a, b), d, line + 2 * step);
      hn::StoreU(hn::Neg(b), d, line + 3 * step);
    }
  }
}

// G' u along one axis: four values `step` apart into three.
HWY_INLINE void shrink(const V* u, int64_t step, V* g, int64_t g_step) {
  const V half = hn::Set(FloatTag(), 0.5f);
  const V even = hn::Mul(half, hn::Add(u[step], u[2 * step]));
  g[0] = hn::Add(u[0], even);
  g[g_step] = hn::Mul(half, hn::Sub(u[step], u[2 * step]));
  g[2 * g_step] = hn::Add(even, u[3 * step]);
}

bool filter(const float* from, int64_t step, int64_t parts, int64_t part_step, int64_t columns, float* to) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t padded = (columns + lanes - 1) / lanes * lanes;
  bool finite = true;
  for (int64_t s = 0; s < columns; s += lanes) {
    V u[kWinogradPositions], rows[12], g[9];
#pragma GCC unroll 16
    for (int64_t i = 0; i < kWinogradPositions; ++i) {
      u[i] = hn::LoadU(d, from + i * step + s);
      for (int64_t part = 1; part < parts; ++part) {
        u[i] = hn::Add(u[i], hn::LoadU(d, from + part * part_step + i * step + s));
      }
    }
#pragma GCC unroll 4
    for (int64_t c = 0; c < 4; ++c) shrink(u + c, 4, rows + c, 4);
#pragma GCC unroll 3
    for (int64_t r = 0; r < 3; ++r) shrink(rows + 4 * r, 1, g + 3 * r, 1);
#pragma GCC unroll 9
    for (int64_t k = 0; k < 9; ++k) {
      finite &= hn::AllTrue(d, hn::IsFinite(g[k]));
      hn::StoreU(g[k], d, to + k * padded + s);
    }
  }
  return finite;
}

WinogradKernel kernel() { return {image, result, gradient, filter}; }

}  // namespace
}  // namespace trireme::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme::cpu {

HWY_EXPORT(kernel);

const WinogradKernel& winograd_kernel() {
  static const WinogradKernel best = HWY_DYNAMIC_DISPATCH(kernel)();
  return best;
}

std::array<double, kWinogradPositions> winograd_filter(const std::array<double, 9>& filter) {
  // G g G', G g first.
  const auto transform = [](double a, double b, double c) {
    return std::array<double, 4>{a, (a + b + c) / 2, (a - b + c) / 2, c};
  };
  std::array<std::array<double, 4>, 3> columns;
  for (size_t c = 0; c < 3; ++c) columns[c] = transform(filter[c], filter[3 + c], filter[6 + c]);
  std::array<double, kWinogradPositions> out{};
  for (size_t r = 0; r < 4; ++r) {
    const auto row = transform(columns[0][r], columns[1][r], columns[2][r]);
    for (size_t c = 0; c < 4; ++c) out[4 * r + c] = row[c];
  }
  return out;
}

}  // namespace trireme::cpu
#endif
