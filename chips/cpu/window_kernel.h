// Lines of windows: maxima, minima and sums of neighbouring elements, element by element of contiguous lines.
#pragma once

#include <cstdint>

namespace trireme::cpu {

enum class Pool : uint8_t { kMax, kMin, kSum };  // NaN wins over every number

template <class T>
struct WindowKernel {
  // to[i] = from[i] pooled with to[i], i < count.
  void (*fold)(int64_t count, const T* from, T* to);
  // to[i] = to[i] pooled with from[2 i], i < count; reads no element behind from[2 count - 2].
  void (*fold_every_other)(int64_t count, const T* from, T* to);
};
// T: float or double; the best one this machine runs.
template <class T>
const WindowKernel<T>& window_kernel(Pool pool);

// For each i < count: adds dy[i] to to[t][i] of the first t < taps with from[t][i] == y[i]. A null from[t] is padding:
// minus infinity, and what falls to it is lost.
template <class T>
using FirstMaximum = void (*)(int64_t taps, int64_t count, const T* const* from, const T* y, const T* dy, T* const* to);
template <class T>
FirstMaximum<T> first_maximum();

}  // namespace trireme::cpu
