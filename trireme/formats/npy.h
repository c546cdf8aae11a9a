// NumPy's .npy files: one array. Reads versions 1 to 3, either byte order and either axis order; writes version 1,
// little-endian, row-major. A damaged file is an Error kDataLoss that names the file and what is wrong; element types
// without a counterpart on the other side (bf16 here; complex, text, records there) are kUnsupported.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "trireme/core/literal.h"

namespace trireme::formats {

Literal read_npy(const std::string& path);
// The same for bytes in memory; `source` stands for the file's name in messages. With an owner that keeps the bytes
// alive the literal points into them where it can.
Literal parse_npy(std::span<const std::byte> bytes, const std::string& source,
                  const std::shared_ptr<const void>& owner = nullptr);
// Written atomically.
void write_npy(const std::string& path, const Literal& value);

// What stands before the elements.
struct NpyHeader {
  DType dtype = f32;
  Shape shape;
  bool columns_first = false;  // the first axis varies fastest
  bool big_endian = false;
  size_t bytes = 0;  // its own length
  // kDataLoss unless the elements take exactly `given` bytes.
  void check_payload(uint64_t given, const std::string& source) const;
};
// From the beginning of a file, which need not be all of it.
NpyHeader parse_npy_header(std::span<const std::byte> beginning, const std::string& source);
// The bytes that write_npy puts before the elements; `path` is for messages.
std::string npy_header(const Literal& value, const std::string& path);

}  // namespace trireme::formats
