// Recompute: takes the segments of a graph (checkpointed(f)) apart. A segment's gradient computes the segment's inner
// values a second time, from the same operands, so that they need not be kept between the forward and the backward
// pass. Barriers order it: a segment is computed again once the gradient of its results is there, and its own gradients
// are finished before those of the segment in front of it begin.
//
// Switched off ("recompute" in TRIREME_PASSES_OFF), segments are taken apart without barriers; what is computed twice
// is then the same node, and kept. Results are the same bits either way.
#pragma once

#include "trireme/ir/graph.h"

namespace trireme::passes {

Graph recompute(const Graph& graph);

}  // namespace trireme::passes
