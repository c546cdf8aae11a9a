// C6: a chip that chooses its own regions: they are legal, and what they compute is what the ops one by one mean.
#include <algorithm>
#include <set>

#include "trireme/base/strings.h"
#include "trireme/certify/judge.h"
#include "trireme/certify/level.h"
#include "trireme/certify/random_case.h"
#include "trireme/runtime/host.h"

namespace trireme::certify {
namespace {

std::string regions(const Subject& subject, uint64_t number) {
  OpenChip& chip = subject.open();
  const Program program = random_program(subject.seed * 977 + number, 6 + static_cast<int>(number) * 3);
  const runtime::ProgramRef whole = runtime::make_program(program.graph);
  const TrmPart* parts = nullptr;
  uint32_t count = 0;
  chip.check(chip.compute().partition(chip.device(), whole.get(), &parts, &count, chip.error()), "partition");
  const chip::Program view(runtime::host_services().program, whole.get());
  std::vector<uint32_t> part_of(view.node_count(), TRM_ABSENT), maker(view.value_count(), TRM_ABSENT);
  for (uint32_t p = 0; p < count; ++p) {
    for (uint32_t k = 0; k < parts[p].node_count; ++k) {
      const uint32_t node = parts[p].nodes[k];
      if (node >= view.node_count()) throw Finding(Verdict::kWrong, cat("a part names node ", node));
      if (part_of[node] != TRM_ABSENT) throw Finding(Verdict::kWrong, cat("node ", node, " is in two parts"));
      part_of[node] = p;
    }
  }
  // A part that is left and entered again cannot run as one.
  std::vector<std::set<uint32_t>> left(view.node_count());  // parts that a path to this node has left
  for (uint32_t n = 0; n < view.node_count(); ++n) {
    const chip::NodeView node = view.node(n);
    for (const uint32_t v : node.outputs()) maker[v] = n;
    for (const uint32_t v : node.inputs()) {
      if (v == TRM_ABSENT || maker[v] == TRM_ABSENT) continue;
      left[n].insert(left[maker[v]].begin(), left[maker[v]].end());
      if (part_of[maker[v]] != TRM_ABSENT && part_of[maker[v]] != part_of[n]) left[n].insert(part_of[maker[v]]);
    }
    if (part_of[n] != TRM_ABSENT && left[n].contains(part_of[n])) {
      throw Finding(Verdict::kWrong, cat("part ", part_of[n], " is left and entered again at node ", n));
    }
  }
  verify_through_runtime(chip, program.graph, program.inputs, " of the engine's regions");
  return cat(count, " regions");
}

}  // namespace

std::vector<Case> engine_cases(uint64_t) {
  std::vector<Case> out;
  for (uint64_t k = 0; k < 10; ++k) {
    out.push_back({Part::kEngine,
                   Level::kEngine,
                   cat("regions of random program ", k + 1),
                   "",
                   "",
                   false,
                   [k](const Subject& subject) { return regions(subject, k); },
                   {}});
  }
  return out;
}

}  // namespace trireme::certify
