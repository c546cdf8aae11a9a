// Plans kept by what they are for: the structure of the graph, the target, and where the inputs live.
#pragma once

#include <memory>

#include "trireme/runtime/plan.h"

namespace trireme::runtime {

// Takes segments apart, simplifies and plans, or finds the plan of an equal request. Keeps the 256 plans used last.
std::shared_ptr<Plan> plan_for(const Graph& graph, const PlanOptions& options);
// Plans made so far in this process: a loop that plans anew each step sees it grow.
size_t plans_made();

}  // namespace trireme::runtime
