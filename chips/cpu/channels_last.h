// Convolutions and matrix products that read the left operand where it lies. For a convolution that means channels
// last: pixel by pixel in memory, the channels of a pixel side by side (NHWC), while the axes of the op stay N, C, H,
// W. Weights are packed when the kernel is prepared if they are known then, else (convolutions of f32) in each run. A
// known scale and bias, a residual and bounds that follow are done on the sums in registers.
#pragma once

#include "chips/cpu/kernel.h"

namespace trireme::cpu {

// True when this way is taken for the node, a convolution or a dot_general.
bool runs_channels_last(const Program& program, const NodeView& node);
// Puts the layouts that it wants and does not see into the answer.
void ask_channels_last(const Program& program, const NodeView& node, TrmAnswer& answer);
// Throws Failure (TRM_UNSUPPORTED) when the other nodes of the program cannot follow.
void check_channels_last(const Program& program, const NodeView& node);
Run prepare_channels_last(const Program& program, const NodeView& node);

}  // namespace trireme::cpu
