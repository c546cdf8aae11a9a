// PyTorch's checkpoints (.pt, .pth): tensors by dotted name, from the zip format (1.6 and later) and the one before it.
//
// The pickle inside is read as data (pickle.h): nothing is imported or run. Dictionaries, lists and tuples are walked;
// {"model": {"conv.weight": tensor}} gives "model.conv.weight", list items are numbered from 0, and a tensor saved
// alone is called "tensor". Numbers, flags and text found under text keys are kept as facts, other values dropped.
//
// Tensors may be strided or share their storage. A damaged file is an Error kDataLoss; whole pickled objects, complex,
// quantized and sparse tensors and big-endian files are kUnsupported. What all values take together is bounded by what
// the file holds (16 times, besides 64 MiB), since strides of 0 and shared storages make much of little.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "trireme/core/literal.h"

namespace trireme::formats {

struct Pytorch {
  std::map<std::string, Literal> tensors;
  std::map<std::string, std::string> facts;  // "epoch" -> "12"
};

// Maps the file; tensors of the older format share the mapping where they are aligned.
Pytorch read_pytorch(const std::string& path);
// The same for bytes that `owner` keeps alive; `source` stands for the file's name in messages.
Pytorch parse_pytorch(std::shared_ptr<const void> owner, std::span<const std::byte> bytes, const std::string& source);

}  // namespace trireme::formats
