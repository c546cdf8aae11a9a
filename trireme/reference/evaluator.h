// The reference evaluator: what every graph means. Plain loops, double precision for all floating types, exact
// integers.
//
// Values between nodes are kept in double and never rounded (a `convert` rounds, that is its meaning); the results are
// rounded once, to the graph's output types. Every chip is compared with this, never with our fast CPU.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "trireme/core/literal.h"
#include "trireme/ir/evaluation.h"
#include "trireme/ir/graph.h"

namespace trireme::reference {

Evaluated to_evaluated(const Literal& literal);
// Rounds to the literal's type.
Literal to_literal(const Evaluated& value);

// The graph's outputs for these inputs, rounded to their types.
std::vector<Literal> evaluate(const Graph& graph, std::span<const Literal> inputs);

// The same without the final rounding. With a `perturbation` other than 0, every node's result (and, for sums of many
// terms, every input) is changed at random by as much as the op's declared accuracy allows a chip: Monte Carlo
// arithmetic (Parker 1997). The spread over several perturbations is the error a correct chip may show; see accuracy.h.
// `fixed_point_bits` other than 0: inputs of contractions change by up to half a step of fixed point with so many bits,
// as TrmAnswer.fixed_point_bits says.
std::vector<Evaluated> evaluate_unrounded(const Graph& graph, std::span<const Evaluated> inputs,
                                          uint64_t perturbation = 0, uint32_t fixed_point_bits = 0);

// The graph computed in the types of its nodes: every node's result is rounded to its type, as on a chip that works in
// f16. What a decomposition gives in narrow types.
std::vector<Evaluated> evaluate_rounded(const Graph& graph, std::span<const Evaluated> inputs);

// True when every node has a truth or is made of such nodes.
bool can_evaluate(const Graph& graph);

}  // namespace trireme::reference
