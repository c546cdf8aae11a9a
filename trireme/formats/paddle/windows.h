// Kernels sliding over spatial axes: what convolutions and pools share.
#pragma once

#include "trireme/formats/paddle/call.h"

namespace trireme::formats::paddle {

// One entry per spatial axis.
struct Window {
  Ints kernel, strides, dilations, low, high;
};

// From the attributes strides, dilations, paddings (one per axis, or one per side) and padding_algorithm (EXPLICIT,
// SAME, VALID), for an image [N, C, spatial...].
Window window_of(const Call& c, const Shape& image, const Ints& kernel);

}  // namespace trireme::formats::paddle
