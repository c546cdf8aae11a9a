// Gradients of a convolution's weights, as its pullback writes them: a convolution whose image is the image with batch
// and channels exchanged, and whose kernel is the gradient of the result. Both are read as they lie, channels last, as
// sums of outer products: for each pixel, the channels it met times its gradients.
#pragma once

#include "chips/cpu/kernel.h"

namespace trireme::cpu {

// True when this way is taken for the node, a convolution.
bool is_weight_gradient(const Program& program, const NodeView& node);
// Puts the layouts that it wants and does not see into the answer.
void ask_layouts_for_weight_gradient(const Program& program, const NodeView& node, TrmAnswer& answer);
Run prepare_weight_gradient(const Program& program, const NodeView& node);

}  // namespace trireme::cpu
