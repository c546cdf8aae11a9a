// Quantise: contractions whose weights are known become products of 8-bit integers with sums in i32.
//
//   y = x * w    becomes    y = (sum_k (q[k] - z) v[k]) * s * t,    x ~ (q - z) s,    w ~ v t
//
// Weights are i8 with one scale t per output channel, symmetric: t = max |w| / 127, or / 64 with a reduced range: such
// weights multiply faster on processors that add two products in 16 bits. Activations have one scale s per tensor.
// Static: u8 with a zero point, the range from calibration (calibration.h). Dynamic: i8 without a zero point, the scale
// max |x| / 127 (u8 and max x / 255 where x is never negative) computed at each run.
//
// The graph holds ordinary ops, so that any chip runs it: x is scaled, rounded and converted; the sums are converted,
// scaled, shifted. What follows a product per channel (bias, normalisation with known statistics) goes into that scale
// and shift, and where the result is quantised again, the next scale, zero point and rectifier do too: between two
// quantised layers stands one multiplication, one addition and one rounding, and only 8-bit numbers are stored.
// Reshapes, transpositions, concatenations, paddings and maxima are taken on the 8-bit numbers.
//
// Left as they are: contractions without known weights, depthwise convolutions (fewer than 4 channels per group: little
// work, much error), attention; bodies of control flow by static ranges (dynamic ones take them too).
#pragma once

#include <span>
#include <vector>

#include "trireme/ir/graph.h"
#include "trireme/passes/calibration.h"

namespace trireme::passes {

class Quantization {
 public:
  explicit Quantization(const Graph& graph, bool reduce_range = false);

  // How many contractions outside of control flow will be products of integers.
  size_t products() const { return products_.size(); }
  // The values whose ranges static quantisation needs, each once, as the outputs of a graph with the inputs of the
  // given one.
  const Graph& activations() const { return activations_; }
  // One range per activation. Both throw kInvalidArgument when weights hold NaN or infinity, with_ranges for another
  // number of ranges too.
  Graph with_ranges(std::span<const Range> ranges) const;
  Graph dynamic() const;

 private:
  Graph graph_;  // composites around products taken apart
  bool reduce_range_;
  std::vector<const Node*> products_;
  Graph activations_;
};

}  // namespace trireme::passes
