// Gradients of the weights of depthwise convolutions, as the pullback of a convolution writes them: each is a sum over
// pixels of one channel times its gradients, plane by plane.
#pragma once

#include "chips/cpu/kernel.h"

namespace trireme::cpu {

// True when this way is taken for the node, a convolution.
bool is_depthwise_gradient(const Program& program, const NodeView& node);
// Puts the layouts that it wants and does not see into the answer.
void ask_layouts_for_depthwise_gradient(const Program& program, const NodeView& node, TrmAnswer& answer);
Run prepare_depthwise_gradient(const Program& program, const NodeView& node);

}  // namespace trireme::cpu
