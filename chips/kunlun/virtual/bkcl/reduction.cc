#include "chips/kunlun/virtual/bkcl/reduction.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "xpu/xdnn_types.h"

namespace trireme::xpu::bkcl {
namespace {

// T: as it lies in memory, A: as it is computed, an unsigned type where sums may wrap.
template <class T, class A, class F>
void fold(std::span<const std::byte* const> sources, size_t count, std::byte* to, F f) {
  constexpr size_t kBlock = 512;
  T values[kBlock];
  A sums[kBlock];
  for (size_t begin = 0; begin < count; begin += kBlock) {
    const size_t block = std::min(kBlock, count - begin);
    for (size_t source = 0; source < sources.size(); ++source) {
      std::memcpy(values, sources[source] + begin * sizeof(T), block * sizeof(T));
      if (source == 0) {
        for (size_t i = 0; i < block; ++i) sums[i] = static_cast<A>(values[i]);
      } else {
        for (size_t i = 0; i < block; ++i) sums[i] = f(sums[i], static_cast<A>(values[i]));
      }
    }
    for (size_t i = 0; i < block; ++i) values[i] = static_cast<T>(sums[i]);
    std::memcpy(to + begin * sizeof(T), values, block * sizeof(T));
  }
}

template <class T, class A, class Wrapping = A>
void reduce_as(BKCLOp op, std::span<const std::byte* const> sources, size_t count, std::byte* to) {
  const auto nan = [](A value) { return value != value; };  // NOLINT(misc-redundant-expression)
  switch (op) {
    case BKCL_ADD: return fold<T, Wrapping>(sources, count, to, [](Wrapping a, Wrapping b) { return a + b; });
    case BKCL_PRODUCT: return fold<T, Wrapping>(sources, count, to, [](Wrapping a, Wrapping b) { return a * b; });
    case BKCL_MIN:
      return fold<T, A>(sources, count, to, [&](A a, A b) { return nan(a) || (!nan(b) && a < b) ? a : b; });
    case BKCL_MAX:
      return fold<T, A>(sources, count, to, [&](A a, A b) { return nan(a) || (!nan(b) && a > b) ? a : b; });
  }
}

}  // namespace

size_t size_of(BKCLDataType type) {
  switch (type) {
    case BKCL_UINT8: return 1;
    case BKCL_FLOAT16:
    case BKCL_BFLOAT16: return 2;
    case BKCL_FLOAT:
    case BKCL_INT32: return 4;
    case BKCL_FLOAT64:
    case BKCL_INT64: return 8;
  }
  return 0;
}

void reduce(BKCLDataType type, BKCLOp op, std::span<const std::byte* const> sources, size_t count, std::byte* to) {
  switch (type) {
    case BKCL_FLOAT: return reduce_as<float, float>(op, sources, count, to);
    case BKCL_FLOAT16: return reduce_as<baidu::xpu::api::float16, float>(op, sources, count, to);
    case BKCL_BFLOAT16: return reduce_as<baidu::xpu::api::bfloat16, float>(op, sources, count, to);
    case BKCL_FLOAT64: return reduce_as<double, double>(op, sources, count, to);
    case BKCL_UINT8: return reduce_as<uint8_t, uint32_t>(op, sources, count, to);
    case BKCL_INT32: return reduce_as<int32_t, int32_t, uint32_t>(op, sources, count, to);
    case BKCL_INT64: return reduce_as<int64_t, int64_t, uint64_t>(op, sources, count, to);
  }
}

}  // namespace trireme::xpu::bkcl
