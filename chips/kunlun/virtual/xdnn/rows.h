// Functions of a row of numbers that several operators share: sums, extremes.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "chips/kunlun/virtual/xdnn/elementwise.h"

namespace baidu::xpu::api::detail {

// In sixteen lanes side by side, which are then added in pairs; integers wrap.
template <class C, class F>
C sum_over(int64_t count, F term) {
  constexpr int64_t kLanes = 16;
  C lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] = sum_of<C>(lanes[lane], term(i + lane));
  }
  for (int64_t lane = 0; i + lane < count; ++lane) lanes[lane] = sum_of<C>(lanes[lane], term(i + lane));
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t lane = 0; lane < half; ++lane) lanes[lane] = sum_of<C>(lanes[lane], lanes[lane + half]);
  }
  return lanes[0];
}

// NaN wins. Of nothing: the least number there is.
template <class C>
C greatest_of(const C* row, int64_t count) {
  C found = std::is_floating_point_v<C> ? -std::numeric_limits<C>::infinity() : std::numeric_limits<C>::lowest();
  for (int64_t i = 0; i < count; ++i) found = larger<C>(row[i], found);
  return found;
}
template <class C>
C least_of(const C* row, int64_t count) {
  C found = std::is_floating_point_v<C> ? std::numeric_limits<C>::infinity() : std::numeric_limits<C>::max();
  for (int64_t i = 0; i < count; ++i) found = smaller<C>(row[i], found);
  return found;
}

// A row in the type it is computed in: where it lies, or copied to `buffer`.
template <class T>
const Compute<T>* computed(const T* row, int64_t count, std::vector<Compute<T>>* buffer) {
  if constexpr (std::is_same_v<T, Compute<T>>) {
    return row;
  } else {
    buffer->resize(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) (*buffer)[i] = static_cast<Compute<T>>(row[i]);
    return buffer->data();
  }
}

}  // namespace baidu::xpu::api::detail
