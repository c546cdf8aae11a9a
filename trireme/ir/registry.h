// The table of ops, filled by generated code from the declarations.
#pragma once

#include <span>
#include <string_view>

#include "trireme/ir/op_decl.h"

namespace trireme {

// All ops, sorted by name.
std::span<const OpDecl* const> all_ops();
// Null when there is none.
const OpDecl* find_op(std::string_view name);
// Throws kNotFound naming the nearest op.
const OpDecl& get_op(std::string_view name);

// Called once by the generated registry; `families` runs parallel to `ops`.
bool install_ops(std::span<OpDecl* const> ops, std::span<const std::string_view> families);

}  // namespace trireme
