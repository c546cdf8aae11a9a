// Sound in short pieces, as graph ops, so that any chip can do it.
#pragma once

#include <cstdint>

#include "trireme/tensor/tensor.h"

namespace trireme::audio {

// x [..., T] -> [..., frames, length]: pieces that begin every `step` samples, frames = (T - length) / step + 1 rounded
// down. kInvalidArgument where not one fits.
Tensor frames(const Tensor& x, int64_t length, int64_t step);

// The periodic Hann window, f32 [length]: (1 - cos(2 pi n / length)) / 2.
Tensor hann_window(int64_t length);

struct Spectrum {
  Tensor real, imaginary;
};
// The discrete Fourier transform of real pieces x [..., length], one side of it: [..., length / 2 + 1]. As two matrix
// products; the short-time transform of a signal is spectrum(frames(x, n, step) * hann_window(n)).
Spectrum spectrum(const Tensor& x);

}  // namespace trireme::audio
