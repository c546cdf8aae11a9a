// Regions: which nodes of one device run as one program. Elementwise nodes of one shape merge; a contraction may head
// such a run (its epilogue) and a reduction, a softmax or a norm may end it. Every region of more than one node is
// offered to the device; a refusal splits it. Regions never wait for themselves: merging keeps the graph of regions
// free of cycles.
#pragma once

#include <unordered_map>
#include <vector>

#include "trireme/ir/graph.h"
#include "trireme/runtime/device.h"

namespace trireme::runtime {

struct Region {
  Device* device = nullptr;
  std::vector<const Node*> nodes;  // in run order; views and constants between them are not listed
};

// `nodes`: every node that needs work, in run order, with its device. Returns regions in an order they can run in.
// `outputs` are values that must exist afterwards.
struct PlacedNode {
  const Node* node;
  Device* device;
};
std::vector<Region> form_regions(const std::vector<PlacedNode>& nodes, const std::vector<Value>& outputs);

// The region as a graph: parameters for what comes from outside (in `arguments`), constants inside; its outputs are
// the values that `readers` (nodes outside) or `outputs` need.
struct RegionGraph {
  Graph graph;
  std::vector<Value> arguments, results;
};
class Uses {  // who reads each value
 public:
  Uses(const std::vector<const Node*>& nodes, const std::vector<Value>& outputs);
  RegionGraph graph_of(const Region& region) const;

 private:
  std::unordered_map<const Node*, std::vector<const Node*>> readers_;
  std::unordered_map<const Node*, std::vector<Value>> wanted_;
};

}  // namespace trireme::runtime
