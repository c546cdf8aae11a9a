// The compute bank: which programs the chip takes, and how they become kernels.
#pragma once

#include "trireme/chip/chip.h"

namespace trireme::cpu {

const TrmComputeBank& compute_bank();

}  // namespace trireme::cpu
