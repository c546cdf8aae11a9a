// Placement: which of two sides, the chip or the host, each node of a graph runs on. Exact: the cheapest labelling is a
// minimum s-t cut, solved with Dinic's algorithm (Dinic 1970); ties go to the chip.
//
// The price of a labelling is the sum of each node's time on its side, plus, per tensor and direction, one copy if any
// reader sits on the other side than the producer. A copy is paid once however many readers there are: an auxiliary
// node stands between the producer and its readers, tied to the readers by infinite edges.
#pragma once

#include <limits>
#include <vector>

namespace trireme::runtime {

inline constexpr double kImpossible = std::numeric_limits<double>::infinity();

struct PlacementProblem {
  struct Node {
    double chip_ns = 0.0, host_ns = 0.0;  // kImpossible: not on that side
  };
  struct Tensor {
    int producer = 0;
    std::vector<int> readers;
    double to_host_ns = 0.0, to_chip_ns = 0.0;
  };
  std::vector<Node> nodes;
  std::vector<Tensor> tensors;
};

struct Placement {
  std::vector<bool> on_chip;
  double total_ns = 0.0;  // kImpossible when some node can run on neither side
};

Placement place(const PlacementProblem& problem);
// The price of a given labelling, by the definition above.
double price(const PlacementProblem& problem, const std::vector<bool>& on_chip);

}  // namespace trireme::runtime
