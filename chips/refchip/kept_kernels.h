// serialize and deserialize of refchip. What a chip of silicon writes is code; here it is the key of a program that the
// plug-in keeps for as long as the process lives: enough to be asked what every such slot is asked. In another process
// the key is not known, and the host is told to prepare again.
//
// The bytes: build_id, a zero byte, the key, the check sum of the key; numbers in 8 bytes, little-endian.
#pragma once

#include <string>
#include <vector>

#include "compute.h"

namespace trireme::refchip {

// Also the build_id of the plug-in.
std::string build_id(const Persona& persona);

std::vector<std::byte> keep_kernel(const Device& device, const Kernel& kernel);
// Throws kInvalidArgument naming what is wrong with the bytes.
std::unique_ptr<Kernel> load_kernel(const Device& device, std::span<const std::byte> blob);

}  // namespace trireme::refchip
