// Regions: programs of elementwise nodes, run as one pass over memory, optionally ending in one reduction.
#pragma once

#include <optional>

#include "chips/cpu/kernel.h"

namespace trireme::cpu {

// True for reduce_sum, reduce_max and their like.
bool is_reduction(std::string_view op);
// Compiles the whole program; throws Failure (TRM_UNSUPPORTED) when it is not such a region. Any strides are fine.
Run prepare_region(const Program& program);

}  // namespace trireme::cpu
