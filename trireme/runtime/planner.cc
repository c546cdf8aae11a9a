#include "trireme/runtime/planner.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "trireme/base/strings.h"
#include "trireme/ir/op_decl.h"
#include "trireme/ir/view.h"
#include "trireme/runtime/offer.h"
#include "trireme/runtime/place.h"
#include "trireme/runtime/region.h"

namespace trireme::runtime {

namespace {

// In one kernel where the device has one, else a copy for each part.
double assembly_ns(Device& device, const Node& node) {
  if (device.computes()) {
    const Answer answer = ask(device, single(node));
    if (answer.native() && !answer.runs_on_host) return answer.ns;
  }
  const double bandwidth = device.props().memory_bandwidth > 0 ? device.props().memory_bandwidth : 1e10;
  return device.props().launch_latency_ns * static_cast<double>(node.inputs().size()) +
         1e9 * work_of(node).bytes / bandwidth;
}

// What a kernel of the target for this node could take: its peak rates, no overhead beyond the launch.
double ideal_ns(const Device& device, const Node& node) {
  const Work work = work_of(node);
  const TrmProps& props = device.props();
  const double compute = props.flops_f32 > 0 ? work.flops / props.flops_f32 : 0.0;
  const double memory = props.memory_bandwidth > 0 ? work.bytes / props.memory_bandwidth : 0.0;
  return props.launch_latency_ns + 1e9 * std::max(compute, memory);
}

// Without another device there is nothing to place.
Assignment on_host_alone(const Graph& graph, Device& host) {
  Expansion expand(host);
  Assignment out;
  out.graph = expand(graph);
  for (const Node* node : out.graph.nodes()) {
    if (is_free(*node)) continue;
    if (node->op().kind.value != Kind::kControl && !is_assembly(*node)) {
      const Answer answer = ask(host, single(*node));
      if (answer.verdict == TRM_NO) {
        throw Error(Code::kUnsupported, cat("no device here can run ", node->name(), " on ", node->outputs()[0],
                                            " (at ", node->source(), "): ", host.name(), " says: ", answer.reason));
      }
      if (answer.runs_on_host) out.reasons[node] = answer.reason;
      out.total_ns += answer.ns;
    }
    out.nodes.push_back({node, &host});
  }
  return out;
}

class Placing {
 public:
  Placing(const Graph& graph, const PlanOptions& options, std::string_view also_native)
      : source_(graph),
        options_(options),
        target_(*options.target),
        host_(Device::host()),
        also_native_(also_native),
        expand_(target_) {
    for (size_t i = 0; i < graph.inputs().size(); ++i) {
      const bool on_target = options.input_devices.empty() || options.input_devices[i] == &target_;
      input_on_target_[&graph.inputs()[i].node()] = on_target;
    }
    expand_.keep_named(also_native);
  }

  Assignment run() {
    Placement placement;
    std::vector<const Node*> order;
    Graph graph;
    std::set<const Node*> folded;
    // Each round folds composites that landed on the host as a whole; two or three rounds settle it.
    for (int round = 0; round < 4; ++round) {
      graph = expand_(source_);
      order = graph.nodes();
      placement = place(problem(graph, order));
      if (!fold(order, placement, folded)) break;
    }
    if (std::isinf(placement.total_ns)) refuse(order);
    Assignment out;
    out.graph = graph;
    out.total_ns = placement.total_ns;
    for (size_t n = 0; n < order.size(); ++n) {
      if (is_free(*order[n])) continue;
      const bool chip = placement.on_chip[n];
      out.nodes.push_back({order[n], chip ? &target_ : &host_});
      if (chip) continue;
      const std::string& why = expand_.reason(*order[n]);
      out.reasons[order[n]] = !why.empty() ? why : "cheaper there, copies included";
    }
    return out;
  }

 private:
  PlacementProblem problem(const Graph& graph, const std::vector<const Node*>& order) {
    PlacementProblem out;
    std::unordered_map<const Node*, int> index;
    for (const Node* node : order) {
      index[node] = static_cast<int>(out.nodes.size());
      out.nodes.push_back(costs(*node));
    }
    share_regions(target_, graph, order, &PlacementProblem::Node::chip_ns, out.nodes);
    share_regions(host_, graph, order, &PlacementProblem::Node::host_ns, out.nodes);
    // Tensors: one per output that somebody reads. Constants are on both sides.
    std::unordered_map<const Node*, std::vector<std::vector<int>>> readers;
    for (const Node* node : order) {
      for (const Value& v : node->inputs()) {
        if (!v || is_known(v)) continue;
        if (is_view(*node) && &v != &node->inputs().front()) continue;  // a barrier waits for it and does not read it
        auto& lists = readers[&v.node()];
        lists.resize(v.node().outputs().size());
        lists[v.index()].push_back(index.at(node));
      }
    }
    for (size_t i = 0; i < options_.donated.size(); ++i) {
      if (options_.donated[i] < 0) continue;
      // A donated input's successor must end where the input lives.
      const Value& v = graph.outputs()[static_cast<size_t>(options_.donated[i])];
      if (is_known(v)) continue;
      const bool chip = input_on_target_.at(&graph.inputs()[i].node());
      auto& lists = readers[&v.node()];
      lists.resize(v.node().outputs().size());
      lists[v.index()].push_back(static_cast<int>(out.nodes.size()));
      out.nodes.push_back(chip ? PlacementProblem::Node{0, kImpossible} : PlacementProblem::Node{kImpossible, 0});
    }
    for (const Node* node : order) {
      const auto at = readers.find(node);
      if (at == readers.end()) continue;
      for (size_t k = 0; k < at->second.size(); ++k) {
        if (at->second[k].empty()) continue;
        const double copy = link_ns(target_, node->outputs()[k].bytes());
        out.tensors.push_back({index.at(node), at->second[k], copy, copy});
      }
    }
    return out;
  }

  PlacementProblem::Node costs(const Node& node) {
    if (node.is("parameter")) {
      return input_on_target_.at(&node) ? PlacementProblem::Node{0, kImpossible}
                                        : PlacementProblem::Node{kImpossible, 0};
    }
    if (is_free(node)) return {0, 0};
    if (node.op().kind.value == Kind::kControl) {  // follows the state; its graphs are placed on their own
      return target_.computes() ? PlacementProblem::Node{0, kImpossible} : PlacementProblem::Node{kImpossible, 0};
    }
    if (is_assembly(node)) {
      const bool whole = target_.space().addressing == TRM_WHOLE || !target_.computes();
      return {whole ? kImpossible : assembly_ns(target_, node), host_cost(assembly_ns(host_, node))};
    }
    const Graph region = single(node);
    const Answer chip = ask(target_, region), host = ask(host_, region);
    double chip_ns = chip.verdict == TRM_NO ? kImpossible : chip.ns;
    if (node.is(also_native_)) chip_ns = ideal_ns(target_, node);
    return {chip_ns, host_cost(host.verdict == TRM_NO ? kImpossible : host.ns)};
  }

  // Nodes that run as one region share its price: each has the part of it that its own kernel has of the sum of theirs.
  // The regions are those of a device that has the whole graph, so the price of a labelling that cuts one is a little
  // too low; without the shares the price of every other one would be too high (docs/adr/0019).
  static void share_regions(Device& device, const Graph& graph, const std::vector<const Node*>& order,
                            double PlacementProblem::Node::*ns, std::vector<PlacementProblem::Node>& prices) {
    std::vector<PlacedNode> placed;
    std::unordered_map<const Node*, double*> price;
    std::vector<const Node*> nodes;
    for (size_t n = 0; n < order.size(); ++n) {
      double& own = prices[n].*ns;
      if (is_free(*order[n]) || is_assembly(*order[n]) || std::isinf(own)) continue;
      placed.push_back({order[n], &device});
      nodes.push_back(order[n]);
      price[order[n]] = &own;
    }
    const Uses uses(nodes, graph.outputs());
    for (const Region& region : form_regions(placed, graph.outputs())) {
      if (region.nodes.size() == 1) continue;
      double alone = 0.0;
      for (const Node* node : region.nodes) alone += *price.at(node);
      const double together = ask(device, uses.graph_of(region).graph).ns;
      if (together >= alone) continue;
      for (const Node* node : region.nodes) *price.at(node) *= together / alone;
    }
  }

  double host_cost(double ns) const { return options_.fallback == Fallback::kError ? kImpossible : ns; }

  // Composites all of whose parts landed on the host and that the host has a kernel for. True when there are new ones.
  bool fold(const std::vector<const Node*>& order, const Placement& placement, std::set<const Node*>& folded) {
    std::unordered_map<const Node*, bool> on_chip;
    for (size_t n = 0; n < order.size(); ++n) on_chip[order[n]] = placement.on_chip[n];
    bool any = false;
    std::set<const Node*> inside;
    for (const Expansion::Parts& parts : expand_.expanded()) {
      const Node* whole = &parts.whole.node();
      if (parts.nodes.empty() || folded.contains(whole)) continue;
      const bool covered =
          std::all_of(parts.nodes.begin(), parts.nodes.end(), [&](const Node* node) { return inside.contains(node); });
      const bool all_host = std::none_of(parts.nodes.begin(), parts.nodes.end(), [&](const Node* node) {
        const auto at = on_chip.find(node);
        return at == on_chip.end() || at->second;
      });
      if (covered || !all_host || !has_kernel(*whole)) continue;
      inside.insert(parts.nodes.begin(), parts.nodes.end());
      kept_.push_back(parts.whole);
      folded.insert(whole);
      any = true;
    }
    for (const Value& v : kept_) expand_.keep(&v.node());
    return any;
  }

  // A composite without one would run op by op in the evaluator, slower than its parts.
  bool has_kernel(const Node& composite) const {
    const Answer answer = ask(host_, single(composite));
    return answer.verdict != TRM_NO && !answer.runs_on_host;
  }

  [[noreturn]] void refuse(const std::vector<const Node*>& order) {
    std::set<std::string> lines;
    for (const Node* node : order) {
      if (is_free(*node) || !std::isinf(costs(*node).chip_ns)) continue;
      if (options_.fallback != Fallback::kError && !std::isinf(costs(*node).host_ns)) continue;
      const std::string& why = expand_.reason(*node);
      lines.insert(cat(node->name(), " ", node->outputs()[0], " (", why.empty() ? "not on this chip" : why, ", at ",
                       node->source(), ")"));
    }
    std::vector<std::string> list(lines.begin(), lines.end());
    const size_t all = list.size();
    if (list.size() > 8) list.resize(8);
    throw Error(
        Code::kUnsupported,
        cat(target_.name(), " cannot run this graph alone and --fallback=error forbids help from ", host_.name(), ": ",
            all, all == 1 ? " op: " : " ops: ", join(list, "; "), "; use --fallback=warn to let the host help"));
  }

  const Graph& source_;
  const PlanOptions& options_;
  Device& target_;
  Device& host_;
  std::string_view also_native_;
  Expansion expand_;
  std::unordered_map<const Node*, bool> input_on_target_;
  std::vector<Value> kept_;
};

// From big to small: a chip that chooses its own regions (it fills the slot `partition`) is offered the whole graph.
bool engine_takes(const Graph& graph, Device& target, double* ns) {
  if (!target.computes() || target.chip().compute()->partition == nullptr) return false;
  for (const Node* node : graph.nodes()) {
    if (node->op().kind.value == Kind::kControl) return false;
  }
  const ProgramRef program = make_program(graph);
  const TrmPart* parts = nullptr;
  uint32_t count = 0;
  TrmErr err{};
  err.struct_size = sizeof err;
  const int32_t code = target.chip().compute()->partition(target.handle(), program.get(), &parts, &count, &err);
  if (code != TRM_OK || count != 1 || parts[0].node_count != program_reader().node_count(program.get())) return false;
  const Answer answer = ask(target, program);
  *ns = answer.ns;
  return answer.native();
}

}  // namespace

double link_ns(const Device& device, uint64_t bytes) {
  const TrmProps& props = device.props();
  const double bandwidth = props.link_bandwidth > 0 ? props.link_bandwidth : 1e10;
  return props.link_latency_ns + 1e9 * static_cast<double>(bytes) / bandwidth;
}

Assignment assign(const Graph& graph, const PlanOptions& options, std::string_view also_native) {
  Device& host = Device::host();
  if (options.target == &host) return on_host_alone(graph, host);
  Assignment engine;
  if (also_native.empty() && engine_takes(graph, *options.target, &engine.total_ns)) {
    engine.graph = graph;
    engine.whole = true;
    for (const Node* node : graph.nodes()) {
      if (!is_free(*node)) engine.nodes.push_back({node, options.target});
    }
    return engine;
  }
  return Placing(graph, options, also_native).run();
}

}  // namespace trireme::runtime
