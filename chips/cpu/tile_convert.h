// Conversions that quantised layers live on, vectorised: between 8-bit integers, i32 and f32.
#pragma once

#include "chips/cpu/tile_ops.h"

namespace trireme::cpu {

// Null when the pair is not one of these.
TileFunction find_quantized_conversion(DType from, DType to);

}  // namespace trireme::cpu
