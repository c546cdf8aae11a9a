// Tile operations: the instructions of fused elementwise programs. A tile is a run of at most kTile values in the
// register type of its element type: f16 and bf16 are held as f32, bool as one byte 0 or 1, all others as themselves.
// Each operation is one vectorised loop over tiles that sit in the first-level cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "trireme/core/dtype.h"

namespace trireme::cpu {

// 2 KiB of f32: a dozen live tiles fit the first-level cache.
constexpr int64_t kTile = 512;

constexpr DType register_type(DType t) { return t == f16 || t == bf16 ? f32 : t; }

struct TileParameters {
  int64_t integers[2] = {0, 0};
  bool repeats[2] = {false, false};  // the tile of this input is one number over and over; of two at most one
};
// out and in may be the same address, but must not overlap otherwise.
using TileFunction = void (*)(void* out, const void* const* in, size_t count, const TileParameters& parameters);

// Every op that runs as a tile operation, and for which types of its inputs.
struct TileOpName {
  const char* name;
  DTypeSet dtypes;
};
std::span<const TileOpName> tile_op_names();

// Null when there is no such operation. `type`: element type of the inputs (of `x` for select); `form`: the kind of a
// compare, the approximation of a gelu, else empty.
TileFunction find_tile_function(std::string_view op, std::string_view form, DType type);
// Conversion between element types; the result is rounded to `to` even where the register is wider.
TileFunction find_tile_conversion(DType from, DType to);

// A strided run of memory to a tile and back. Stride 0 repeats the first element.
using TileLoad = void (*)(void* tile, const void* memory, int64_t stride, size_t count);
using TileStore = void (*)(void* memory, int64_t stride, const void* tile, size_t count);
TileLoad find_tile_load(DType type);
TileStore find_tile_store(DType type);

// Folds for reductions. Columns: accumulator[i] = accumulator[i] (op) tile[i]. Rows: the fold of a whole tile.
// Sums of f32 end in double, so that long sums keep their digits.
enum class Fold : uint8_t { kSum, kProduct, kMax, kMin, kAnd, kOr };
// Type that accumulates: f64 for floats' sums and products, else the register type.
DType accumulator_type(Fold fold, DType type);
using FoldColumns = void (*)(void* accumulator, const void* tile, size_t count);
using FoldRow = void (*)(void* accumulator, const void* tile, size_t count);
struct FoldFunctions {
  FoldColumns columns = nullptr;
  FoldRow row = nullptr;
  void (*start)(void* accumulator, size_t count) = nullptr;                     // identity
  void (*finish)(void* tile, const void* accumulator, size_t count) = nullptr;  // accumulator type to register type
};
FoldFunctions find_fold(Fold fold, DType type);

}  // namespace trireme::cpu
