// The arithmetic of collectives.
#pragma once

#include <cstddef>
#include <span>

#include "xpu/bkcl.h"

namespace trireme::xpu::bkcl {

size_t size_of(BKCLDataType type);

// to[i] = sources[0][i] op sources[1][i] op ..., from left to right; `to` may be one of them. 16-bit types are computed
// in float and rounded once. Integers wrap; MIN and MAX of a NaN are NaN.
void reduce(BKCLDataType type, BKCLOp op, std::span<const std::byte* const> sources, size_t count, std::byte* to);

}  // namespace trireme::xpu::bkcl
