// Convolution on channels-last images: pixel by pixel in memory, the channels of a pixel side by side (NHWC), while the
// axes of the op stay N, C, H, W. For weights known when the kernel is prepared; they are packed then, and a scale, a
// bias, a residual and bounds that follow are done on the sums in registers.
#pragma once

#include "chips/cpu/convolution.h"

namespace trireme::cpu {

// True when this way is taken for the node.
bool is_channels_last(const Program& program, const NodeView& node);
// Puts the layouts that it wants and does not see into the answer.
void ask_channels_last(const Program& program, const NodeView& node, TrmAnswer& answer);
// Throws Failure (TRM_UNSUPPORTED) when the other nodes of the program cannot follow the convolution.
void check_channels_last(const Program& program, const NodeView& node);
Run prepare_channels_last(const Program& program, const NodeView& node);

}  // namespace trireme::cpu
