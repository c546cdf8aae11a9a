// Regions that one call of the library does: a product or convolution, a sum with another tensor, an
// activation, another sum; or a product of integers that is wanted as floats.
#pragma once

#include "chips/kunlun/kernel.h"

namespace trireme::kunlun {

// Whether the nodes behind the first are such a tail of it.
bool has_tail(const Program& program, Tail* tail);

}  // namespace trireme::kunlun
