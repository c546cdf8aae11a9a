// Lines of softmax and of layer norms, vectorised; T is float or double.
#pragma once

#include <cstdint>

namespace trireme::cpu {

// From x to y, which may be the same memory; `count` >= 1.
template <class T>
struct LineKernels {
  // exp(x - max) over its sum.
  void (*softmax)(const T* x, T* y, int64_t count);
  // x - max - log sum exp(x - max).
  void (*log_softmax)(const T* x, T* y, int64_t count);
  // (x - mean) / sqrt(variance + epsilon); where not `centred`, x / sqrt(mean of squares + epsilon). Then times
  // `weight`, plus `bias`, where they are not null.
  void (*normalize)(const T* x, T* y, int64_t count, bool centred, double epsilon, const T* weight, const T* bias);
};
// The best ones this machine runs.
template <class T>
const LineKernels<T>& line_kernels();

}  // namespace trireme::cpu
