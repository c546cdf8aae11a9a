// The gradient of maxima of windows over the spatial axes of [N, C, spatial...]: each goes to the first element of its
// window that has it. Runs as its input lies, channel by channel or channels last.
#pragma once

#include "chips/cpu/kernel.h"

namespace trireme::cpu {

// Throws Failure (TRM_UNSUPPORTED) for windows over other axes.
void ask_layouts_for_max_pool_gradient(const Program& program, const NodeView& node, TrmAnswer& answer);
Run prepare_max_pool_gradient(const Program& program, const NodeView& node);

}  // namespace trireme::cpu
