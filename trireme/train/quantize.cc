#include "trireme/train/quantize.h"

#include <algorithm>

#include "trireme/base/error.h"
#include "trireme/base/progress.h"
#include "trireme/base/strings.h"
#include "trireme/ir/view.h"
#include "trireme/passes/quantize.h"
#include "trireme/passes/simplify.h"
#include "trireme/tensor/tensor.h"

namespace trireme::train {

namespace {

std::vector<passes::Range> calibrate(const passes::Quantization& plan, const std::vector<Sample>& samples,
                                     const QuantizeOptions& options) {
  const Graph& graph = plan.activations();
  const Compiled activations([graph](const std::vector<Tensor>& inputs) { return run(graph, inputs); });
  std::vector<passes::Observer> observers(graph.outputs().size());
  const size_t count =
      options.limit > 0 ? std::min(samples.size(), static_cast<size_t>(options.limit)) : samples.size();
  Progress progress("calibrate", static_cast<int64_t>(count), "samples");
  for (size_t s = 0; s < count; ++s) {
    const auto values = activations({samples[s].begin(), samples[s].end()});
    for (size_t i = 0; i < values.size(); ++i) {
      const Value& v = graph.outputs()[i];
      observers[i].add(values[i].literal(),
                       cat("sample ", s, ": activation ", i, " (", v.node().name(), " ", v.type(), ")"));
    }
    progress.advance();
  }
  std::vector<passes::Range> ranges;
  for (size_t i = 0; i < observers.size(); ++i) {
    // What a model is given (pixels, samples of sound) is no bell: the entropy would clip it as if it were one.
    const Node* source = &graph.outputs()[i].node();
    while (is_view(*source)) source = &source->inputs()[0].node();
    const bool given = source->is("parameter");
    const bool clipped = *options.method != passes::CalibrationMethod::kEntropy || !given;
    ranges.push_back(
        observers[i].range(clipped ? *options.method : passes::CalibrationMethod::kMinMax, options.percentile));
  }
  return ranges;
}

// Every node, those of the bodies of control flow too.
template <class F>
void for_each_node(const Graph& graph, const F& f) {
  for (const Node* node : graph.nodes()) {
    f(*node);
    for (const Attribute& attribute : node->attributes()) {
      if (const auto* body = std::get_if<std::shared_ptr<const Graph>>(&attribute)) for_each_node(**body, f);
    }
  }
}

}  // namespace

Graph quantize(const Graph& graph, const std::vector<Sample>& samples, const QuantizeOptions& options) {
  const passes::Quantization plan(graph, options.reduce_range);
  const Graph out =
      passes::simplify(options.method ? plan.with_ranges(calibrate(plan, samples, options)) : plan.dynamic());
  if (integer_products(out) == 0) {
    throw Error(Code::kInvalidArgument,
                "the model has nothing to quantise: no matrix product or convolution with constant weights (those "
                "within control flow take the method dynamic)");
  }
  return out;
}

size_t integer_products(const Graph& graph) {
  size_t products = 0;
  for_each_node(
      graph, [&](const Node& node) { products += node.is("integer_dot_general") || node.is("integer_convolution"); });
  return products;
}

uint64_t constant_bytes(const Graph& graph) {
  uint64_t bytes = 0;
  for_each_node(graph, [&](const Node& node) { bytes += node.is("constant") ? node.outputs()[0].bytes() : 0; });
  return bytes;
}

}  // namespace trireme::train
