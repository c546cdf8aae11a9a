// NumPy's .npz files: a zip archive of .npy files, each an array by the file's name without ".npy".
//
// Errors are those of zip.h and npy.h. What an array takes is read from its own header, and compared with what the
// archive claims, before memory for it is asked for.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "trireme/core/literal.h"

namespace trireme::formats {

std::map<std::string, Literal> read_npz(const std::string& path);
// The same for bytes that `owner` keeps alive; `source` stands for the file's name in messages.
std::map<std::string, Literal> parse_npz(std::shared_ptr<const void> owner, std::span<const std::byte> bytes,
                                         const std::string& source);

// Written atomically. NumPy has no bf16: kUnsupported.
void write_npz(const std::string& path, const std::map<std::string, Literal>& arrays, bool deflate = false);

}  // namespace trireme::formats
