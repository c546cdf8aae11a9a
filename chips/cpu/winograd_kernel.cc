#include "chips/cpu/winograd_kernel.h"

#include "chips/cpu/targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "chips/cpu/winograd_kernel.cc"
#include <hwy/foreach_target.h>
// After foreach_target:
#include <hwy/highway.h>

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
  bool finite = true;
  for (int64_t v = 0; v * lanes < columns; ++v) {
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
        store_finished(d, hn::MulAdd(sums[c], scale, bias), v, columns, to[i], added ? added[i] : nullptr, finish);
      }
    }
  }
  return finite;
}

WinogradKernel kernel() { return {image, result}; }

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
