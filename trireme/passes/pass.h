// A pass: a named step from graph to graph. TRIREME_PASSES_OFF="simplify,recompute" leaves passes out by name, so that
// a wrong result can be traced to one of them by bisection.
#pragma once

#include <string_view>

#include "trireme/ir/graph.h"

namespace trireme::passes {

bool enabled(std::string_view pass);

// Runs `step` unless it is switched off, and verifies its result where verification is on.
template <class Step>
Graph apply(std::string_view name, const Graph& graph, Step&& step) {
  if (!enabled(name)) return graph;
  Graph result = step(graph);
  if (verify_enabled()) verify(result, name);
  return result;
}

}  // namespace trireme::passes
