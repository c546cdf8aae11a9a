// The values of a program's parameters: records of one tensor each, one after the other in a combined file
// (.pdiparams, __params__), or each in a file of the variable's name. Internal to formats/paddle.
//
// A record: u32 version, u64 count of lod levels and per level u64 bytes and the bytes, u32 version of the tensor,
// i32 size of its description and the description (element type and sizes), then the elements.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "trireme/core/literal.h"
#include "trireme/formats/paddle/program.h"

namespace trireme::formats::paddle {

using Parameters = std::map<std::string, Literal>;

// Both throw kDataLoss for a damaged record or one that is not what the program declares, and kUnsupported for an
// unknown version or element type.
Parameters read_combined_parameters(const std::vector<Variable>& declared, std::span<const std::byte> bytes,
                                    const std::string& source);
// Files outside of the folder are not read, whatever a variable is called.
Parameters read_separate_parameters(const std::vector<Variable>& declared, const std::string& folder);

}  // namespace trireme::formats::paddle
