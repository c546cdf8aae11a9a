#include "trireme/runtime/explain.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "trireme/base/strings.h"
#include "trireme/ir/op_decl.h"
#include "trireme/passes/pass.h"
#include "trireme/passes/simplify.h"
#include "trireme/runtime/offer.h"
#include "trireme/runtime/planner.h"

namespace trireme::runtime {

namespace {

// Ops the target refused: those of the graph itself, and those their decompositions led to.
std::set<std::string> refused(const Graph& graph, const Assignment& assignment, Device& target) {
  std::set<std::string> names;
  const auto consider = [&](const Node& node) {
    if (is_free(node) || is_assembly(node) || node.op().kind.value == Kind::kControl) return;
    if (ask(target, single(node)).verdict == TRM_NO) names.insert(std::string(node.name()));
  };
  for (const Node* node : graph.nodes()) consider(*node);
  for (const PlacedNode& placed : assignment.nodes) consider(*placed.node);
  return names;
}

}  // namespace

Explanation explain(const Graph& given, const PlanOptions& options) {
  const Graph graph = passes::apply("simplify", given, passes::simplify);
  Explanation out;
  out.ledger = Plan::make(graph, options)->ledger();
  if (options.target == &Device::host()) return out;
  const Assignment today = assign(graph, options);
  out.total_ns = today.total_ns;
  for (const std::string& op : refused(graph, today, *options.target)) {
    const double with = assign(graph, options, op).total_ns;
    if (!std::isfinite(with) || with <= 0) continue;
    const Gain gain{op, today.total_ns / with, today.total_ns - with};
    if (gain.speedup > 1.001) out.gains.push_back(gain);
  }
  std::sort(out.gains.begin(), out.gains.end(), [](const Gain& a, const Gain& b) { return a.speedup > b.speedup; });
  return out;
}

std::string Explanation::table() const {
  std::string text = ledger.table();
  if (gains.empty()) return text + "gain list: no missing kernel would change the time\n";
  text += "gain list: what one more kernel on " + ledger.target + " would bring to this graph\n";
  for (const Gain& gain : gains) {
    char line[160];
    std::snprintf(line, sizeof line, "  %-28s %6.2fx  saves %.3f ms\n", gain.op.c_str(), gain.speedup,
                  gain.saved_ns * 1e-6);
    text += line;
  }
  return text;
}

std::string Explanation::json() const {
  nlohmann::json out = nlohmann::json::parse(ledger.json());
  out["gains"] = nlohmann::json::array();
  for (const Gain& gain : gains) {
    out["gains"].push_back({{"op", gain.op}, {"speedup", gain.speedup}, {"saved_ns", gain.saved_ns}});
  }
  return out.dump();
}

}  // namespace trireme::runtime
