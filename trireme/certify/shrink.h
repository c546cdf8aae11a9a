// Shrinking: of a graph on which a chip fails, the smallest part that still fails.
#pragma once

#include <functional>
#include <vector>

#include "trireme/core/literal.h"
#include "trireme/ir/graph.h"

namespace trireme::certify {

struct Program {
  Graph graph;
  std::vector<Literal> inputs;
};

// True while the chip still fails on this program.
using Fails = std::function<bool(const Program&)>;

// Takes away what is behind a node, which becomes the output, or what is before it, which becomes an input with the
// value that the reference gives. Each step asks `fails`, at most `tries` times.
Program shrink(Program program, const Fails& fails, int tries = 200);

}  // namespace trireme::certify
