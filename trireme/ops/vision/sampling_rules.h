// Where the rows (or columns) of a resized image come from: each output reads a few input positions with fixed weights.
#pragma once

#include "trireme/ops/numerics.h"

namespace trireme {

// taps[k] and weights[k] have one entry per output: y[o] = sum_k weights[k][o] x[taps[k][o]].
struct Sampling {
  std::vector<std::vector<int32_t>> taps;
  std::vector<std::vector<double>> weights;
};

inline double cubic_weight(double distance) {  // Keys' kernel with a = -0.75
  constexpr double a = -0.75;
  const double d = std::abs(distance);
  if (d <= 1.0) return ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0;
  return d < 2.0 ? ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a : 0.0;
}

inline Sampling sampling_of(std::string_view mode, bool align_corners, int64_t in, int64_t out) {
  const int64_t count = mode == "nearest" ? 1 : mode == "bilinear" ? 2 : 4;
  Sampling s;
  s.taps.resize(static_cast<size_t>(count));
  s.weights.resize(static_cast<size_t>(count));
  for (int64_t o = 0; o < out; ++o) {
    // Pixels are squares with their value in the middle; with align_corners the first and last middles coincide.
    double at = (static_cast<double>(o) + 0.5) * static_cast<double>(in) / static_cast<double>(out) - 0.5;
    if (align_corners) at = out > 1 ? static_cast<double>(o * (in - 1)) / static_cast<double>(out - 1) : 0.0;
    if (mode == "bilinear") at = std::max(at, 0.0);
    int64_t first = static_cast<int64_t>(std::floor(at));
    const double part = at - std::floor(at);
    if (mode == "nearest") first = o * in / out;
    if (mode == "bicubic") first -= 1;
    for (int64_t k = 0; k < count; ++k) {
      const auto tap = static_cast<size_t>(k);
      s.taps[tap].push_back(static_cast<int32_t>(std::clamp<int64_t>(first + k, 0, in - 1)));
      const double weight = mode == "nearest"    ? 1.0
                            : mode == "bilinear" ? (k == 0 ? 1.0 - part : part)
                                                 : cubic_weight(part + 1.0 - static_cast<double>(k));
      s.weights[tap].push_back(weight);
    }
  }
  return s;
}

// Resizes one axis of x.
inline Value resampled(const Value& x, int axis, int64_t out, std::string_view mode, bool align_corners) {
  const int64_t in = x.shape()[axis];
  if (in == out) return x;  // all modes keep an image of the same size
  const int rank = x.shape().rank();
  if (mode == "nearest" && out % in == 0) {  // whole repeats: a broadcast, whose gradient is a sum
    const Shape apart = x.shape().inserted(axis + 1, 1);
    const Value repeated = ops::broadcast_to(ops::reshape(x, apart.vector()), apart.with(axis + 1, out / in).vector());
    return ops::reshape(repeated, x.shape().with(axis, out).vector());
  }
  const Sampling s = sampling_of(mode, align_corners, in, out);
  Value y;
  for (size_t k = 0; k < s.taps.size(); ++k) {
    const Value taps = ops::constant(Literal::from(std::span<const int32_t>(s.taps[k]), Shape{out}));
    Value part = ops::gather(x, taps, axis);
    if (mode != "nearest") part = part * ops::along_axis(ops::float_vector(x.dtype(), s.weights[k]), axis, rank);
    y = y ? y + part : part;
  }
  return y;
}

}  // namespace trireme
