// The vectorised floating part of the tile operations, chosen at run time.
#pragma once

#include "chips/cpu/tile_ops.h"

namespace trireme::cpu {

TileFunction find_float_tile_function(std::string_view op, DType type);
// `columns` and `row` only; null for products.
FoldFunctions find_float_fold(Fold fold, DType type);

// Contiguous f16 (`brain`: bf16) to f32 and back, rounding to nearest even.
void load_half_floats(float* tile, const void* memory, size_t count, bool brain);
void store_half_floats(void* memory, const float* tile, size_t count, bool brain);

}  // namespace trireme::cpu
