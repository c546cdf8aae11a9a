// safetensors files: named tensors and a string-to-string table.
//
// Layout: u64 header length (little-endian) | JSON header | payload. The header maps each name to {"dtype", "shape",
// "data_offsets": [begin, end)} with offsets from the start of the payload, and "__metadata__" to the string table.
// A file is accepted only when the tensors cover the payload exactly: no holes, no overlap, nothing after the end.
// Everything else is an Error kDataLoss that names file, tensor and what is wrong; a sound file that needs what we do
// not have (8-bit floats, more than 8 axes) is kUnsupported.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "trireme/core/literal.h"

namespace trireme::formats {

struct Safetensors {
  std::map<std::string, Literal> tensors;
  std::map<std::string, std::string> metadata;
};

// Maps the file; literals share the mapping, except those whose payload is not aligned for its type: they are copied.
Safetensors read_safetensors(const std::string& path);

// The same for bytes that `owner` keeps alive; `source` stands for the file's name in messages.
Safetensors parse_safetensors(std::shared_ptr<const void> owner, std::span<const std::byte> bytes,
                              const std::string& source);

// Written atomically; the payload starts at a multiple of 64 bytes and wide types come first, so that every tensor is
// aligned. Names and metadata must be UTF-8, and no tensor may be called "__metadata__".
void write_safetensors(const std::string& path, const Safetensors& content);

}  // namespace trireme::formats
