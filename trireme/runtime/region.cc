#include "trireme/runtime/region.h"

#include <algorithm>
#include <queue>
#include <span>
#include <unordered_set>

#include "trireme/base/error.h"
#include "trireme/ir/op_decl.h"
#include "trireme/ir/view.h"
#include "trireme/runtime/offer.h"

namespace trireme::runtime {

namespace {

constexpr size_t kMostNodes = 96;
constexpr size_t kMostOperands = 32;

// Sets of regions as bits.
class Bits {
 public:
  bool has(size_t i) const { return i / 64 < words_.size() && ((words_[i / 64] >> (i % 64)) & 1u); }
  void add(size_t i) {
    if (i / 64 >= words_.size()) words_.resize(i / 64 + 1);
    words_[i / 64] |= uint64_t{1} << (i % 64);
  }
  void remove(size_t i) {
    if (i / 64 < words_.size()) words_[i / 64] &= ~(uint64_t{1} << (i % 64));
  }
  void add(const Bits& other) {
    if (other.words_.size() > words_.size()) words_.resize(other.words_.size());
    for (size_t i = 0; i < other.words_.size(); ++i) words_[i] |= other.words_[i];
  }

 private:
  std::vector<uint64_t> words_;
};

// Composites too: one that is still whole here is one that its device has a kernel for.
bool is_elementwise(const Node& node) {
  return node.op().kind.value == Kind::kElementwise && node.outputs().size() == 1;
}

// Folds its one input, or is still whole as a composite and keeps its first input's shape: softmax, a norm.
bool may_end_a_run(const Node& node) {
  if (node.op().kind.value != Kind::kReduction || node.inputs().empty() || !node.inputs()[0]) return false;
  if (!node.op().is_composite()) return node.inputs().size() == 1;
  return node.outputs().size() == 1 && node.outputs()[0].shape == node.inputs()[0].shape();
}

// A step of an optimizer that is still whole. Steps on several parameters are one region, whatever their shapes.
bool is_step(const Node& node) {
  return node.op().kind.value == Kind::kElementwise && node.op().is_composite() && node.outputs().size() > 1;
}

class Former {
 public:
  explicit Former(const std::vector<PlacedNode>& placed) : placed_(placed) {
    for (size_t i = 0; i < placed.size(); ++i) index_[placed[i].node] = i;
  }

  std::vector<Region> run(const std::vector<Value>& outputs) {
    for (const PlacedNode& p : placed_) assign(p);
    std::vector<const Node*> nodes;
    for (const PlacedNode& p : placed_) nodes.push_back(p.node);
    const Uses uses(nodes, outputs);
    std::vector<Region> accepted;
    for (Group& group : groups_) {
      if (!group.nodes.empty()) offer({group.device, group.nodes}, uses, accepted);
    }
    return in_order(std::move(accepted));
  }

 private:
  struct Group {
    Device* device = nullptr;
    std::vector<const Node*> nodes;
    Shape shape;        // of the elementwise run
    bool open = false;  // elementwise nodes may still join
    Bits needs;         // groups it waits for, all the way back
  };

  // Groups a value waits for: its producer's, seen through views; and what a barrier waits for.
  void add_needs(const Value& v, Bits& needs) const {
    if (!v) return;
    const Node& node = v.node();
    if (const auto at = group_of_.find(&node); at != group_of_.end()) {
      needs.add(at->second);
      needs.add(groups_[at->second].needs);
      return;
    }
    if (!is_view(node)) return;
    for (const Value& input : node.inputs()) add_needs(input, needs);
  }

  void assign(const PlacedNode& p) {
    const Node& node = *p.node;
    const Kind kind = node.op().kind.value;
    Bits needs;
    for (const Value& v : node.inputs()) add_needs(v, needs);
    const bool elementwise = is_elementwise(node);
    const bool ends_run = may_end_a_run(node);
    if (elementwise || ends_run) {
      const Shape& shape = elementwise ? node.outputs()[0].shape : node.inputs()[0].shape();
      for (const Value& v : std::span(node.inputs()).first(ends_run ? 1 : node.inputs().size())) {
        const auto at = v ? group_of_.find(&v.node()) : group_of_.end();
        if (at == group_of_.end() || !may_join(at->second, p, shape, ends_run)) continue;
        const size_t target = at->second;
        join(target, node);
        for (const Value& other : node.inputs()) {
          const auto from = other ? group_of_.find(&other.node()) : group_of_.end();
          if (from != group_of_.end() && may_merge(target, from->second)) merge(target, from->second);
        }
        if (ends_run) groups_[target].open = false;
        return;
      }
    }
    if (is_step(node)) {
      for (size_t target = groups_.size(); target-- > 0;) {
        const Group& group = groups_[target];
        if (group.nodes.empty() || &group.nodes.front()->op() != &node.op()) continue;
        if (!may_follow(target, p)) break;
        join(target, node);
        return;
      }
    }
    group_of_[&node] = groups_.size();
    Group group{p.device, {&node}, node.outputs()[0].shape, false, needs};
    group.open = elementwise || (kind == Kind::kContraction && node.outputs().size() == 1);
    groups_.push_back(std::move(group));
  }

  bool may_join(size_t target, const PlacedNode& p, const Shape& shape, bool ends_run) const {
    const Group& group = groups_[target];
    if (!group.open || group.device != p.device || !(group.shape == shape) || group.nodes.size() >= kMostNodes) {
      return false;
    }
    // A contraction with both an epilogue and a reduction is left to composites.
    if (ends_run && !is_elementwise(*group.nodes.front())) return false;
    std::unordered_set<const Node*> outside;
    for (const Node* member : group.nodes) {
      for (const Value& v : member->inputs()) {
        if (v && !is_known(v) && !in_group(v, target)) outside.insert(&v.node());
      }
    }
    for (const Value& v : p.node->inputs()) {
      if (!v || in_group(v, target)) continue;
      if (!is_known(v)) outside.insert(&v.node());
      Bits needs;
      add_needs(v, needs);
      if (needs.has(target)) return false;  // it waits for the group: joining would close a cycle
    }
    return outside.size() <= kMostOperands;
  }

  // Whether a step may join the steps of a group: it waits for none of them, and the operands stay few.
  bool may_follow(size_t target, const PlacedNode& p) const {
    const Group& group = groups_[target];
    std::unordered_set<const Node*> inputs;
    size_t outputs = p.node->outputs().size();
    Bits needs;
    for (const Value& v : p.node->inputs()) {
      add_needs(v, needs);
      inputs.insert(&v.node());
    }
    for (const Node* member : group.nodes) {
      for (const Value& v : member->inputs()) inputs.insert(&v.node());
      outputs += member->outputs().size();
    }
    return group.device == p.device && !needs.has(target) && inputs.size() <= kMostOperands && outputs <= kMostOperands;
  }

  bool in_group(const Value& v, size_t group) const {
    const auto at = group_of_.find(&v.node());
    return at != group_of_.end() && at->second == group;
  }

  void join(size_t target, const Node& node) {
    Group& group = groups_[target];
    group.nodes.push_back(&node);
    group_of_[&node] = target;
    Bits added;
    for (const Value& v : node.inputs()) {
      if (v && !in_group(v, target)) add_needs(v, added);
    }
    group.needs.add(added);
    for (size_t g = 0; g < groups_.size(); ++g) {  // whoever waits for the group now waits for more
      if (g != target && groups_[g].needs.has(target)) groups_[g].needs.add(group.needs);
    }
  }

  // Two elementwise runs of one shape that a node has joined: one pass instead of two.
  bool may_merge(size_t target, size_t other) const {
    const Group &a = groups_[target], &b = groups_[other];
    if (target == other || !a.open || !b.open || a.device != b.device || !(a.shape == b.shape)) return false;
    if (!is_elementwise(*a.nodes.front()) || !is_elementwise(*b.nodes.front())) return false;
    if (a.nodes.size() + b.nodes.size() > kMostNodes) return false;
    std::unordered_set<const Node*> outside;
    Bits needs;
    for (const Group* group : {&a, &b}) {
      for (const Node* member : group->nodes) {
        for (const Value& v : member->inputs()) {
          if (!v || is_known(v) || in_group(v, target) || in_group(v, other)) continue;
          outside.insert(&v.node());
          add_needs(v, needs);
        }
      }
    }
    if (outside.size() > kMostOperands) return false;
    // Neither may wait for the other by way of a third group or of a view.
    return !needs.has(target) && !needs.has(other);
  }

  void merge(size_t target, size_t other) {
    Group &a = groups_[target], &b = groups_[other];
    for (const Node* node : b.nodes) group_of_[node] = target;
    std::vector<const Node*> nodes(a.nodes.size() + b.nodes.size());
    std::merge(a.nodes.begin(), a.nodes.end(), b.nodes.begin(), b.nodes.end(), nodes.begin(),
               [&](const Node* x, const Node* y) { return index_.at(x) < index_.at(y); });
    a.nodes = std::move(nodes);
    a.needs.add(b.needs);
    a.needs.remove(target);
    a.needs.remove(other);
    b = {};
    for (size_t g = 0; g < groups_.size(); ++g) {
      Group& group = groups_[g];
      if (g == target || !(group.needs.has(target) || group.needs.has(other))) continue;
      group.needs.remove(other);
      group.needs.add(target);
      group.needs.add(a.needs);
    }
  }

  static bool takes(const Region& region, const Uses& uses) {
    return ask(*region.device, uses.graph_of(region).graph).verdict != TRM_NO;
  }

  // What is refused as a whole is offered again: steps one by one; a contraction with as much behind it as the device
  // takes; without the reduction at the end; else in halves, which are in run order.
  void offer(const Region& region, const Uses& uses, std::vector<Region>& accepted) {
    const auto begin = region.nodes.begin(), end = region.nodes.end();
    const auto part = [&](auto from, auto to) { return Region{region.device, {from, to}}; };
    if (region.nodes.size() == 1 || takes(region, uses)) {
      accepted.push_back(region);
    } else if (is_step(*region.nodes.front())) {
      for (auto at = begin; at != end; ++at) accepted.push_back(part(at, at + 1));
    } else if (!is_elementwise(*region.nodes.front())) {
      auto cut = end - 1;
      while (cut - begin > 1 && !takes(part(begin, cut), uses)) --cut;
      accepted.push_back(part(begin, cut));
      offer(part(cut, end), uses, accepted);
    } else if (!is_elementwise(*region.nodes.back())) {
      accepted.push_back(part(end - 1, end));
      offer(part(begin, end - 1), uses, accepted);
    } else {
      const auto middle = begin + (end - begin) / 2;
      offer(part(begin, middle), uses, accepted);
      offer(part(middle, end), uses, accepted);
    }
  }

  // Producers before consumers; among the ready ones the earliest in the graph's own order, which keeps lifetimes
  // short.
  std::vector<Region> in_order(std::vector<Region> regions) const {
    std::unordered_map<const Node*, size_t> home;
    for (size_t r = 0; r < regions.size(); ++r) {
      for (const Node* node : regions[r].nodes) home[node] = r;
    }
    std::vector<std::vector<size_t>> followers(regions.size());
    std::vector<size_t> waiting(regions.size(), 0);
    for (size_t r = 0; r < regions.size(); ++r) {
      std::unordered_set<size_t> before;
      std::vector<const Node*> readers = regions[r].nodes;  // and the views they read through
      for (size_t i = 0; i < readers.size(); ++i) {
        for (const Value& v : readers[i]->inputs()) {
          if (!v) continue;
          const auto at = home.find(&v.node());
          if (at == home.end() && is_view(v.node())) readers.push_back(&v.node());
          if (at != home.end() && at->second != r) before.insert(at->second);
        }
      }
      waiting[r] = before.size();
      for (size_t b : before) followers[b].push_back(r);
    }
    const auto rank = [&](size_t r) { return index_.at(regions[r].nodes.front()); };
    const auto later = [&](size_t a, size_t b) { return rank(a) > rank(b); };
    std::priority_queue<size_t, std::vector<size_t>, decltype(later)> ready(later);
    for (size_t r = 0; r < regions.size(); ++r) {
      if (waiting[r] == 0) ready.push(r);
    }
    std::vector<Region> ordered;
    while (!ready.empty()) {
      const size_t r = ready.top();
      ready.pop();
      for (size_t follower : followers[r]) {
        if (--waiting[follower] == 0) ready.push(follower);
      }
      ordered.push_back(std::move(regions[r]));
    }
    TRIREME_CHECK(ordered.size() == regions.size(), "regions wait for one another in a circle");
    return ordered;
  }

  const std::vector<PlacedNode>& placed_;
  std::unordered_map<const Node*, size_t> index_, group_of_;
  std::vector<Group> groups_;
};

}  // namespace

std::vector<Region> form_regions(const std::vector<PlacedNode>& nodes, const std::vector<Value>& outputs) {
  return Former(nodes).run(outputs);
}

Uses::Uses(const std::vector<const Node*>& nodes, const std::vector<Value>& outputs) {
  const auto read = [&](const Value& v, const Node* reader) {
    // A view reads its source for its own readers.
    Value at = v;
    while (true) {
      readers_[&at.node()].push_back(reader);
      auto& wanted = wanted_[&at.node()];
      if (std::find(wanted.begin(), wanted.end(), at) == wanted.end()) wanted.push_back(at);
      if (!is_view(at.node())) break;
      reader = nullptr;  // through a view: never inside the producer's region
      at = at.node().inputs()[0];
    }
  };
  for (const Node* node : nodes) {
    for (const Value& v : node->inputs()) {
      if (v) read(v, node);
    }
  }
  for (const Value& v : outputs) read(v, nullptr);
}

RegionGraph Uses::graph_of(const Region& region) const {
  const std::unordered_set<const Node*> inside(region.nodes.begin(), region.nodes.end());
  RegionGraph out;
  Rewriter rewrite;
  std::vector<Value> parameters;
  for (const Node* node : region.nodes) {
    for (const Value& v : node->inputs()) {
      if (!v || inside.contains(&v.node()) || is_known(v)) continue;
      if (std::find(out.arguments.begin(), out.arguments.end(), v) != out.arguments.end()) continue;
      out.arguments.push_back(v);
      parameters.push_back(parameter(v.dtype(), v.shape()));
      rewrite.replace(v, parameters.back());
    }
  }
  std::vector<Value> results;
  for (const Node* node : region.nodes) {
    const auto at = readers_.find(node);
    if (at == readers_.end()) continue;
    const bool leaves = std::any_of(at->second.begin(), at->second.end(),
                                    [&](const Node* reader) { return reader == nullptr || !inside.contains(reader); });
    if (!leaves) continue;
    if (node->outputs().size() == 1) {
      out.results.emplace_back(*node, 0);
    } else {  // a kernel writes all outputs of a node
      for (const Value& v : all_outputs(Value(*node, 0))) out.results.push_back(v);
    }
  }
  for (const Value& v : out.results) results.push_back(rewrite(v));
  out.graph = Graph(parameters, results);
  return out;
}

}  // namespace trireme::runtime
