// The values where formulas break.
#pragma once

#include <vector>

#include "trireme/certify/op_case.h"

namespace trireme::certify {

// NaN, infinities, signed zeros, the largest numbers, and numbers where a rounding or a range changes; of integers the
// ends of the range, what overflows and what rounds. With `sums` only values whose sums depend on no order.
std::vector<double> special_values(DType type, bool sums);
// The least denormal of a floating type, some more, and their negatives.
std::vector<double> denormals(DType type);

// The inputs of a case with values drawn from a pool in place of its own: of every floating input, and of integer
// inputs where their domain is the op's default one.
std::vector<Literal> inputs_from(const OpCase& given, std::vector<double> (*pool)(DType), uint64_t seed);

}  // namespace trireme::certify
