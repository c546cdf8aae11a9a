// Reverse-mode differentiation: adds nodes. The graph is the tape.
#pragma once

#include <vector>

#include "trireme/ir/node.h"

namespace trireme::passes {

// d(sum over i of <y[i], seeds[i]>)/dx for each x in `wrt`; an empty seed stands for ones. Values that do not depend
// on an x get zeros. Composites use their own pullback when they have one, else their decomposition is differentiated.
// Throws kUnsupported, naming op and reason, when the path from y to an x crosses an op without a gradient.
std::vector<Value> gradient(const std::vector<Value>& y, const std::vector<Value>& wrt,
                            const std::vector<Value>& seeds = {});

}  // namespace trireme::passes
