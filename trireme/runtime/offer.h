// Asking chips: from big to small. A whole region or composite is offered first; what a chip refuses is decomposed and
// offered again.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "trireme/ir/graph.h"
#include "trireme/runtime/device.h"
#include "trireme/runtime/program.h"

namespace trireme::runtime {

struct Conversion {  // an operand the chip wants otherwise
  uint32_t operand;  // inputs first, then outputs
  DType dtype;
  Strides strides;  // dense in the order of axes the chip asks for
};

struct Answer {
  TrmVerdict verdict = TRM_NO;
  bool runs_on_host = false;
  double ns = 0.0;
  uint64_t workspace = 0;
  std::vector<Conversion> conversions;
  std::vector<int32_t> in_place;  // per output: the input whose memory it may take, TRM_ANY_INPUT, or -1
  std::string reason;             // of a refusal, or of running on the host
  uint32_t fixed_point_bits = 0;  // as in TrmAnswer

  bool native() const { return verdict == TRM_NATIVE; }
  // Some operand must have another element type.
  bool wants_types(const Graph& region) const;
};

// What the device says to this region laid out so. Answers are remembered by program hash.
Answer ask(Device& device, const ProgramRef& program);
Answer ask(Device& device, const Graph& region, std::span<const Strides> inputs = {},
           std::span<const Strides> outputs = {});

// One node as a graph of its own: inputs that are constants (or views of constants) stay inside, the others become
// parameters. `arguments` receives the values the parameters stand for.
Graph single(const Node& node, std::vector<Value>* arguments = nullptr);

// True for a constant and for views of constants.
bool is_known(const Value& value);

// Nodes that need no kernel: parameters, constants and views.
bool is_free(const Node& node);
// Copies into parts of a result (concat, pad): every device can do it by strided copies.
bool is_assembly(const Node& node);

// Rewrites a graph until every node is one the device takes, or one that nothing is known about any more (then the
// host runs it). Composites in `keep` stay whole.
class Expansion {
 public:
  explicit Expansion(Device& device) : device_(device) {}
  Graph operator()(const Graph& graph);

  void keep(const Node* composite) { keep_.insert(composite); }
  // Every op of this name stays whole.
  void keep_named(std::string_view op) { keep_name_ = op; }
  // Composites that were taken apart, outermost first, with the nodes that came of each (views left out).
  struct Parts {
    Value whole;
    std::vector<const Node*> nodes;
  };
  const std::vector<Parts>& expanded() const { return expanded_; }
  // Why the device refused a node that stands in the result or was taken apart.
  const std::string& reason(const Node& node) const;

 private:
  Values settle(const Value& node, std::vector<const Node*>& parts);
  Values settle_body(const Values& body, std::span<const Value> outer, std::vector<const Node*>& parts);
  Values with_other_types(const Node& node, const Answer& answer, std::vector<const Node*>& parts);

  Device& device_;
  std::unordered_set<const Node*> keep_;
  std::string keep_name_;
  std::unordered_map<const Node*, Values> settled_;
  std::unordered_map<const Node*, std::vector<const Node*>> settled_parts_;
  std::unordered_map<const Node*, std::string> reasons_;
  std::vector<Parts> expanded_;
  std::vector<Value> alive_;  // nodes whose addresses are keys above
};

}  // namespace trireme::runtime
