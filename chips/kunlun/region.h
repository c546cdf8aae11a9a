// Regions: several elementwise nodes of one shape in one launch.
#pragma once

#include "chips/kunlun/kernel.h"

namespace trireme::kunlun {

// One step that runs the whole program. Throws a Refusal when some node is not elementwise, works on a type that the
// cores do not hold in 32 bits, or the region needs more than fits into the memory of a core.
Kernel build_region(const Program& program, const Card& card);

}  // namespace trireme::kunlun
