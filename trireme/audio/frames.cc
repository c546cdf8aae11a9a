#include "trireme/audio/frames.h"

#include <cmath>
#include <numbers>
#include <vector>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::audio {

namespace {

constexpr int64_t kMostLength = 1 << 13;  // the matrices of a transform grow with its square

void check_length(int64_t length) {
  if (length < 1 || length > kMostLength) {
    throw Error(Code::kInvalidArgument, cat("pieces of ", length, " samples; 1 to ", kMostLength, " are worked on"));
  }
}

}  // namespace

Tensor frames(const Tensor& x, int64_t length, int64_t step) {
  check_length(length);
  if (x.rank() < 1 || step < 1 || x.size(-1) < length) {
    throw Error(Code::kInvalidArgument, cat("pieces of ", length, " samples every ", step, " of ", x.shape(),
                                            ": at least one must fit into the last axis, and step is 1 or more"));
  }
  const int64_t count = (x.size(-1) - length) / step + 1;
  std::vector<int64_t> places;
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t k = 0; k < length; ++k) places.push_back(i * step + k);
  }
  return gather(x, tensor(places, {count, length}), x.rank() - 1);
}

Tensor hann_window(int64_t length) {
  check_length(length);
  std::vector<double> values;
  for (int64_t n = 0; n < length; ++n) {
    values.push_back(0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(n) / static_cast<double>(length)));
  }
  return Tensor(Literal::from_doubles(f32, {length}, values));
}

Spectrum spectrum(const Tensor& x) {
  if (x.rank() < 1) throw Error(Code::kInvalidArgument, "the spectrum of a scalar");
  const int64_t length = x.size(-1), kept = length / 2 + 1;
  check_length(length);
  std::vector<double> cosines, sines;
  for (int64_t n = 0; n < length; ++n) {
    for (int64_t k = 0; k < kept; ++k) {
      const double angle = 2 * std::numbers::pi * static_cast<double>(n * k % length) / static_cast<double>(length);
      cosines.push_back(std::cos(angle));
      sines.push_back(-std::sin(angle));
    }
  }
  return {matmul(x, Tensor(Literal::from_doubles(f32, {length, kept}, cosines))),
          matmul(x, Tensor(Literal::from_doubles(f32, {length, kept}, sines)))};
}

}  // namespace trireme::audio
