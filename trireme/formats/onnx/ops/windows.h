// Kernels sliding over spatial axes: what convolutions and pools share.
#pragma once

#include "trireme/formats/onnx/call.h"

namespace trireme::formats::onnx {

struct Window {
  Ints kernel, strides, dilations, low, high;  // one entry per spatial axis
  Ints low_given, high_given;                  // before rounding up made `high` longer
  Ints result;                                 // sizes of the result
};

// From the attributes kernel_shape (else `kernel`), strides, dilations, pads, auto_pad and ceil_mode, for an image
// [N, C, spatial...].
Window window_of(Call& c, const Shape& image, Ints kernel);

}  // namespace trireme::formats::onnx
