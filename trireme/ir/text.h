// The text form of a graph. print and parse are inverse: parse(print(g)) has the structure of g, and print(parse(t))
// gives t back for every t that print made.
//
//   graph trireme/1 {
//     %0 = parameter f32[2, 3] "x"
//     %1 = tan(%0)
//     %2 = sum(%1) {axes = [1], keepdims = false}
//     return %2 "y"
//   }
//
// A value of a node with several outputs is written %3.1; an absent optional input is _.
// Grammar: docs/guide/graph-text.md.
#pragma once

#include <string>
#include <string_view>

#include "trireme/ir/graph.h"

namespace trireme {

std::string print(const Graph& graph);
// Throws with line and column: kDataLoss for text that is not a graph, kNotFound or kInvalidArgument for an unknown op
// or element type (naming the nearest), and the op's own error for a node that breaks a rule.
Graph parse_graph(std::string_view text);

}  // namespace trireme
