// Programs and cases that nobody wrote: of a seed.
#pragma once

#include <optional>

#include "trireme/certify/op_case.h"
#include "trireme/certify/shrink.h"

namespace trireme::certify {

// The case with all sizes of one value replaced by another; nothing where the op does not allow that.
std::optional<OpCase> resized(const OpCase& given, int64_t from, int64_t to);

// A random program of `count` elementwise ops and reductions on f32 matrices, as a fused region may have.
Program random_program(uint64_t seed, int count);

}  // namespace trireme::certify
