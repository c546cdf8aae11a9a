// The compute bank: which programs the chip takes, and how they become calls of the operator library.
#pragma once

#include "trireme/chip/chip.h"

namespace trireme::kunlun {

const TrmComputeBank& compute_bank();

}  // namespace trireme::kunlun
