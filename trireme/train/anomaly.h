// Anomalies: which op made the first value that is not finite.
#pragma once

#include <string>
#include <vector>

#include "trireme/nn/module.h"

namespace trireme::train {

// The first tensor of `state` with an element that is not finite, as "model.first.weight, element 3 = nan"; empty when
// there is none.
std::string first_not_finite(const std::vector<nn::NamedTensor>& state);

// Computes what `graph` reaches value by value, in order, and throws kInvalidArgument: `head`, then the op, its source
// line and the element where finite operands first gave a result that is not finite; or the leaf, by its name in
// `leaves`, that was so from the start.
[[noreturn]] void explain_anomaly(const std::string& head, const std::vector<Value>& outputs,
                                  const std::vector<nn::NamedTensor>& leaves);

}  // namespace trireme::train
