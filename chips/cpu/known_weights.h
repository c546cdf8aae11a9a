// Convolutions and matrix products whose weights are known when the kernel is prepared: these are packed then, and the
// other operand is read where it lies. For a convolution that means channels last: pixel by pixel in memory, the
// channels of a pixel side by side (NHWC), while the axes of the op stay N, C, H, W. A scale, a bias, a residual and
// bounds that follow are done on the sums in registers.
#pragma once

#include "chips/cpu/kernel.h"

namespace trireme::cpu {

// True when this way is taken for the node, a convolution or a dot_general.
bool has_known_weights(const Program& program, const NodeView& node);
// Puts the layouts that it wants and does not see into the answer.
void ask_layouts_for_known_weights(const Program& program, const NodeView& node, TrmAnswer& answer);
// Throws Failure (TRM_UNSUPPORTED) when the other nodes of the program cannot follow.
void check_known_weights(const Program& program, const NodeView& node);
Run prepare_known_weights(const Program& program, const NodeView& node);

}  // namespace trireme::cpu
