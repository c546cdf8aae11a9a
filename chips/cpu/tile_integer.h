// The vectorised integer and boolean part of the tile operations, chosen at run time.
#pragma once

#include "chips/cpu/tile_ops.h"

namespace trireme::cpu {

// `op` is the op's name; comparisons are "compare lt" and so on.
TileFunction find_integer_tile_function(std::string_view op, DType type);

}  // namespace trireme::cpu
