// 8-bit convolutions of images with channels last (channels_last.h): the numbers under a kernel are copied side by
// side, whole channels at a time, and multiplied with the weights.
#pragma once

#include "chips/cpu/kernel.h"

namespace trireme::cpu {

// True when this way is taken for an integer_convolution.
bool runs_int8_channels_last(const Program& program, const NodeView& node);
// Puts the layouts that it wants and does not see into the answer.
void ask_int8_channels_last(const Program& program, const NodeView& node, TrmAnswer& answer);
// Throws Failure (TRM_UNSUPPORTED) when the other nodes of the program cannot follow.
void check_int8_channels_last(const Program& program, const NodeView& node);
Run prepare_int8_channels_last(const Program& program, const NodeView& node);

}  // namespace trireme::cpu
