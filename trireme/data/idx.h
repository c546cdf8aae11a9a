// idx files, the format of MNIST: bytes 0 0 type rank, then one big-endian u32 per axis, then the elements, big-endian.
// Types: 0x08 u8, 0x09 i8, 0x0B i16, 0x0C i32, 0x0D f32, 0x0E f64. A damaged file is an Error kDataLoss that names it.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "trireme/core/literal.h"

namespace trireme::data {

// Plain or gzip, told apart by the first bytes.
Literal read_idx(const std::string& path);
Literal parse_idx(std::span<const std::byte> bytes, const std::string& source);

// The content of a gzip file in memory, which may take at most `limit` bytes.
std::string gunzip(std::span<const std::byte> bytes, const std::string& source, size_t limit = size_t{1} << 32);

}  // namespace trireme::data
