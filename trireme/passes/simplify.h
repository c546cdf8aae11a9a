// Simplify: rewrites that never change a result. Views of views become one view, x + 0 and x * 1 become x, conversions
// to the same type vanish; small expressions of constants, and constants in a narrower type, are evaluated once.
#pragma once

#include "trireme/ir/graph.h"

namespace trireme::passes {

Graph simplify(const Graph& graph);

}  // namespace trireme::passes
