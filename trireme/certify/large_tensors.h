// C2 of tensors with more than 2^31 elements: one case for each kind of kernel that counts elements its own way, in a
// type of one byte, so that a tensor is two gigabytes. The oracle is a formula, the results are sampled. A chip or host
// that has not the memory, or would take long, skips a case with the reason.
#pragma once

#include <vector>

#include "trireme/certify/level.h"

namespace trireme::certify {

std::vector<Case> large_tensor_cases();

}  // namespace trireme::certify
