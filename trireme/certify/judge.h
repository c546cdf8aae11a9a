// Judge: holds what a chip makes of one graph against the reference evaluator, within the measured bound.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "trireme/certify/open_chip.h"
#include "trireme/core/literal.h"
#include "trireme/ir/graph.h"
#include "trireme/reference/accuracy.h"

namespace trireme::certify {

// What the chip said to a program and, when that was a yes, that it is true.
struct Verified {
  uint32_t verdict = TRM_NO;
  bool on_host = false;  // it says that it runs on the host
  std::string reason;    // of a no
};

// The graph on inputs that lie as `layout` has them: asked for, run twice over different noise, compared with the
// truth, and bit for bit with itself; then in place, where the chip offers that. What wants conversion is run through
// the runtime, which converts. Throws Finding.
Verified verify(OpenChip& chip, const Graph& graph, const std::vector<Literal>& inputs, const NamedLayout& layout);

// The same over all layouts that differ from dense; the answer is that to dense inputs.
Verified verify(OpenChip& chip, const Graph& graph, const std::vector<Literal>& inputs);

// What the graph gives and how exactly a correct chip must give it.
reference::Expectation expect(const Graph& graph, const std::vector<Literal>& inputs, uint32_t fixed_point_bits = 0);

// Throws Finding kWrong when a result is out of bounds; with `signs`, also when a zero has the wrong sign.
void compare_all(const reference::Expectation& expectation, const std::vector<Literal>& got, std::string_view where,
                 bool signs = false);

// The graph on the chip's device through the runtime, compared with the truth in the arithmetic that the chip states.
// `alone`: without the CPU's help. Throws Finding kWrong.
void verify_through_runtime(const OpenChip& chip, const Graph& graph, const std::vector<Literal>& inputs,
                            std::string_view where, bool alone = false);

// Views, constants and control flow are the host's work.
bool is_host_work(const OpDecl& op);

}  // namespace trireme::certify
