// Quantise after training: the ranges of activations from samples, on the current device, and the graph with products
// of 8-bit integers that follows from them (passes/quantize.h).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "trireme/core/literal.h"
#include "trireme/ir/graph.h"
#include "trireme/passes/calibration.h"

namespace trireme::train {

using Sample = std::vector<Literal>;  // one value per input of the graph

struct QuantizeOptions {
  // How ranges are taken from the samples; nothing: they are found at each run.
  std::optional<passes::CalibrationMethod> method = passes::CalibrationMethod::kMinMax;
  double percentile = 99.99;  // of that method
  int64_t limit = 0;          // calibrate on the first so many samples; 0: on all
  bool reduce_range = false;  // weights in 7 bits, which processors without VNNI multiply faster
};

// Throws kInvalidArgument when there is nothing to quantise, or when an activation of a sample is not finite.
Graph quantize(const Graph& graph, const std::vector<Sample>& samples, const QuantizeOptions& options = {});

// Products of integers, and bytes of constants, those in the bodies of control flow too.
size_t integer_products(const Graph& graph);
uint64_t constant_bytes(const Graph& graph);

}  // namespace trireme::train
