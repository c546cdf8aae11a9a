// Explain: who runs what and why, and the gain list: which missing kernel, if the chip had it, would speed this graph
// up most. For every op that the target refused, the placement is solved again as if the target had a kernel for it at
// its peak rates; the list is sorted by the speed-up.
#pragma once

#include <string>
#include <vector>

#include "trireme/runtime/plan.h"

namespace trireme::runtime {

struct Gain {
  std::string op;
  double speedup = 1.0;   // of the whole graph
  double saved_ns = 0.0;  // per run
};

struct Explanation {
  Ledger ledger;
  std::vector<Gain> gains;  // largest first; only those above 1.001
  double total_ns = 0.0;    // of one run as it is placed today, which the gains are measured from; 0 on the host

  std::string table() const;
  std::string json() const;
};

Explanation explain(const Graph& graph, const PlanOptions& options);

}  // namespace trireme::runtime
