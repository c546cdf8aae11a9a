#include "trireme/runtime/place.h"

#include <algorithm>
#include <cmath>
#include <queue>

namespace trireme::runtime {

namespace {

constexpr double kInfiniteCapacity = 1e30;
constexpr double kTolerance = 1e-9;  // nanoseconds: far below any real price

class FlowNetwork {
 public:
  explicit FlowNetwork(int nodes) : first_(static_cast<size_t>(nodes), -1) {}

  int add_node() {
    first_.push_back(-1);
    return static_cast<int>(first_.size()) - 1;
  }

  void add_edge(int from, int to, double capacity) {
    edges_.push_back({to, first_[static_cast<size_t>(from)], capacity});
    first_[static_cast<size_t>(from)] = static_cast<int>(edges_.size()) - 1;
    edges_.push_back({from, first_[static_cast<size_t>(to)], 0.0});
    first_[static_cast<size_t>(to)] = static_cast<int>(edges_.size()) - 1;
  }

  void maximize(int source, int sink) {
    while (build_levels(source, sink)) {
      next_ = first_;
      while (push(source, sink) > kTolerance) {
      }
    }
  }

  // Nodes from which the sink cannot be reached any more: the largest source side of a minimum cut.
  std::vector<bool> source_side(int sink) const {
    std::vector<bool> reaches(first_.size(), false);
    std::queue<int> queue;
    queue.push(sink);
    reaches[static_cast<size_t>(sink)] = true;
    while (!queue.empty()) {
      const int node = queue.front();
      queue.pop();
      for (int e = first_[static_cast<size_t>(node)]; e >= 0; e = edges_[static_cast<size_t>(e)].next) {
        const int from = edges_[static_cast<size_t>(e)].to;  // the reverse of e leads from `from` to `node`
        if (!reaches[static_cast<size_t>(from)] && edges_[static_cast<size_t>(e ^ 1)].capacity > kTolerance) {
          reaches[static_cast<size_t>(from)] = true;
          queue.push(from);
        }
      }
    }
    reaches.flip();
    return reaches;
  }

 private:
  struct Edge {
    int to, next;
    double capacity;
  };

  bool build_levels(int source, int sink) {
    level_.assign(first_.size(), -1);
    level_[static_cast<size_t>(source)] = 0;
    std::queue<int> queue;
    queue.push(source);
    while (!queue.empty()) {
      const int node = queue.front();
      queue.pop();
      for (int e = first_[static_cast<size_t>(node)]; e >= 0; e = edges_[static_cast<size_t>(e)].next) {
        const Edge& edge = edges_[static_cast<size_t>(e)];
        if (edge.capacity <= kTolerance || level_[static_cast<size_t>(edge.to)] >= 0) continue;
        level_[static_cast<size_t>(edge.to)] = level_[static_cast<size_t>(node)] + 1;
        queue.push(edge.to);
      }
    }
    return level_[static_cast<size_t>(sink)] >= 0;
  }

  // Sends flow along one path of the level graph; iterative, since graphs are thousands of nodes deep.
  double push(int source, int sink) {
    std::vector<int> path;
    int node = source;
    while (node != sink) {
      int& e = next_[static_cast<size_t>(node)];
      while (e >= 0) {
        const Edge& edge = edges_[static_cast<size_t>(e)];
        if (edge.capacity > kTolerance &&
            level_[static_cast<size_t>(edge.to)] == level_[static_cast<size_t>(node)] + 1) {
          break;
        }
        e = edge.next;
      }
      if (e >= 0) {
        path.push_back(e);
        node = edges_[static_cast<size_t>(e)].to;
      } else {
        if (path.empty()) return 0.0;
        level_[static_cast<size_t>(node)] = -1;
        node = edges_[static_cast<size_t>(path.back() ^ 1)].to;
        path.pop_back();
      }
    }
    double flow = kInfiniteCapacity;
    for (int e : path) flow = std::min(flow, edges_[static_cast<size_t>(e)].capacity);
    for (int e : path) {
      edges_[static_cast<size_t>(e)].capacity -= flow;
      edges_[static_cast<size_t>(e ^ 1)].capacity += flow;
    }
    return flow;
  }

  std::vector<Edge> edges_;
  std::vector<int> first_, next_, level_;
};

double capacity(double ns) { return std::isinf(ns) ? kInfiniteCapacity : ns; }

}  // namespace

Placement place(const PlacementProblem& problem) {
  const int count = static_cast<int>(problem.nodes.size());
  const int source = count, sink = count + 1;  // source side: chip; sink side: host
  FlowNetwork network(count + 2);
  for (int n = 0; n < count; ++n) {
    const auto& node = problem.nodes[static_cast<size_t>(n)];
    network.add_edge(source, n, capacity(node.host_ns));
    network.add_edge(n, sink, capacity(node.chip_ns));
  }
  for (const auto& tensor : problem.tensors) {
    if (tensor.readers.empty()) continue;
    const int down = network.add_node(), up = network.add_node();
    network.add_edge(tensor.producer, down, capacity(tensor.to_host_ns));
    network.add_edge(up, tensor.producer, capacity(tensor.to_chip_ns));
    for (int reader : tensor.readers) {
      network.add_edge(down, reader, kInfiniteCapacity);
      network.add_edge(reader, up, kInfiniteCapacity);
    }
  }
  network.maximize(source, sink);
  Placement result;
  result.on_chip = network.source_side(sink);
  result.on_chip.resize(static_cast<size_t>(count));
  result.total_ns = price(problem, result.on_chip);
  return result;
}

double price(const PlacementProblem& problem, const std::vector<bool>& on_chip) {
  double total = 0.0;
  for (size_t n = 0; n < problem.nodes.size(); ++n) {
    total += on_chip[n] ? problem.nodes[n].chip_ns : problem.nodes[n].host_ns;
  }
  for (const auto& tensor : problem.tensors) {
    const bool from_chip = on_chip[static_cast<size_t>(tensor.producer)];
    const bool crosses = std::any_of(tensor.readers.begin(), tensor.readers.end(),
                                     [&](int reader) { return on_chip[static_cast<size_t>(reader)] != from_chip; });
    if (crosses) total += from_chip ? tensor.to_host_ns : tensor.to_chip_ns;
  }
  return total;
}

}  // namespace trireme::runtime
