// Placement is exact: compared with every labelling of small random graphs.
#include "trireme/runtime/place.h"

#include <gtest/gtest.h>

#include <random>

namespace trireme::runtime {
namespace {

double brute_force(const PlacementProblem& problem) {
  const size_t count = problem.nodes.size();
  double best = kImpossible;
  for (uint32_t labels = 0; labels < (1u << count); ++labels) {
    std::vector<bool> on_chip(count);
    for (size_t n = 0; n < count; ++n) on_chip[n] = (labels >> n) & 1u;
    best = std::min(best, price(problem, on_chip));
  }
  return best;
}

PlacementProblem random_problem(std::mt19937& random) {
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  PlacementProblem problem;
  const int count = pick(1, 14);
  for (int n = 0; n < count; ++n) {
    PlacementProblem::Node node{static_cast<double>(pick(0, 20)), static_cast<double>(pick(0, 40))};
    const int luck = pick(0, 9);
    if (luck == 0) node.chip_ns = kImpossible;
    else if (luck == 1) node.host_ns = kImpossible;
    problem.nodes.push_back(node);
    PlacementProblem::Tensor tensor;
    tensor.producer = n;
    for (int reader = n + 1; reader < count; ++reader) {
      if (pick(0, 3) == 0) tensor.readers.push_back(reader);
    }
    tensor.to_host_ns = pick(0, 30);
    tensor.to_chip_ns = pick(0, 30);
    problem.tensors.push_back(tensor);
  }
  return problem;
}

TEST(Place, EqualsBruteForceOnRandomGraphs) {
  std::mt19937 random(20261122);
  for (int round = 0; round < 2500; ++round) {
    const PlacementProblem problem = random_problem(random);
    const Placement placement = place(problem);
    EXPECT_DOUBLE_EQ(placement.total_ns, brute_force(problem)) << "round " << round;
    EXPECT_DOUBLE_EQ(placement.total_ns, price(problem, placement.on_chip)) << "round " << round;
  }
}

// A chain whose every second op only the host can do: crossings cost more than the chip saves, so none is made.
TEST(Place, DoesNotPingPong) {
  PlacementProblem problem;
  for (int n = 0; n < 40; ++n) {
    problem.nodes.push_back(n % 2 == 0 ? PlacementProblem::Node{1, 10} : PlacementProblem::Node{kImpossible, 10});
    problem.tensors.push_back({n, n + 1 < 40 ? std::vector<int>{n + 1} : std::vector<int>{}, 100, 100});
  }
  const Placement placement = place(problem);
  for (int n = 1; n < 40; ++n) EXPECT_FALSE(placement.on_chip[static_cast<size_t>(n)]);
  EXPECT_DOUBLE_EQ(placement.total_ns, 400.0);
}

TEST(Place, PaysACopyOnceForManyReaders) {
  PlacementProblem problem;
  problem.nodes = {{1, kImpossible}, {kImpossible, 1}, {kImpossible, 1}, {kImpossible, 1}};
  problem.tensors = {{0, {1, 2, 3}, 7, 9}};
  EXPECT_DOUBLE_EQ(place(problem).total_ns, 1 + 3 + 7);
}

TEST(Place, SaysWhenNoSideIsPossible) {
  PlacementProblem problem;
  problem.nodes = {{kImpossible, kImpossible}};
  EXPECT_EQ(place(problem).total_ns, kImpossible);
}

TEST(Place, HandlesDeepChains) {
  PlacementProblem problem;
  for (int n = 0; n < 20000; ++n) {
    problem.nodes.push_back({1, 2});
    problem.tensors.push_back({n, n + 1 < 20000 ? std::vector<int>{n + 1} : std::vector<int>{}, 5, 5});
  }
  EXPECT_DOUBLE_EQ(place(problem).total_ns, 20000.0);
}

}  // namespace
}  // namespace trireme::runtime
