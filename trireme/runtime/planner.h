// The first half of planning: which node runs where. The second half, lowering.h, makes commands of it.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "trireme/runtime/plan.h"
#include "trireme/runtime/region.h"

namespace trireme::runtime {

struct Assignment {
  Graph graph;                                           // the graph, decomposed as far as the devices need
  std::vector<PlacedNode> nodes;                         // in run order
  std::unordered_map<const Node*, std::string> reasons;  // why a node is not on the target
  double total_ns = 0.0;
  bool whole = false;  // the target, an engine, takes the entire graph as one program
};

// Decomposes what the target refuses, finds the cheapest placement with copies priced, and folds composites that ended
// up wholly on the host back to one node. `also_native` names an op to be treated as if the target had a kernel for it
// at its roofline speed: the question behind the gain list.
Assignment assign(const Graph& graph, const PlanOptions& options, std::string_view also_native = {});

// Time of one copy between this device and the host.
double link_ns(const Device& device, uint64_t bytes);

}  // namespace trireme::runtime
