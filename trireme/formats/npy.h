// NumPy's .npy files: one array. Reads versions 1 to 3, either byte order and either axis order; writes version 1,
// little-endian, row-major. A damaged file is an Error kDataLoss that names the file and what is wrong; element types
// without a counterpart on the other side (bf16 here; complex, text, records there) are kUnsupported.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "trireme/core/literal.h"

namespace trireme::formats {

Literal read_npy(const std::string& path);
// The same for bytes in memory; `source` stands for the file's name in messages.
Literal parse_npy(std::span<const std::byte> bytes, const std::string& source);
// Written atomically.
void write_npy(const std::string& path, const Literal& value);

}  // namespace trireme::formats
