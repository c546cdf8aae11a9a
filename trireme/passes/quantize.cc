#include "trireme/passes/quantize.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/ir/op_decl.h"
#include "trireme/ir/view.h"
#include "trireme/ops/numerics.h"
#include "trireme/ops/ops.h"
#include "trireme/passes/pass.h"
#include "trireme/passes/simplify.h"
#include "trireme/reference/evaluator.h"

namespace trireme::passes {

namespace {

struct ValueHash {
  size_t operator()(const Value& v) const { return std::hash<const Node*>()(&v.node()) * 31 + v.index(); }
};

// ---- what is quantised ----------------------------------------------------------------------------------------------

// A constant, seen through views and conversions.
bool is_known(const Value& v) {
  const Node* node = &v.node();
  while (is_view(*node) || node->is("convert")) node = &node->inputs()[0].node();
  return node->is("constant") || node->is("fill");
}

std::vector<double> numbers_of(const Value& known) {
  return reference::evaluate(Graph({}, {ops::as_type(known, f32)}), {})[0].to_doubles();
}

constexpr int64_t kFewestGroupChannels = 4;

bool is_product(const Node& node) {
  const bool convolution = node.is("convolution");
  if (!convolution && !node.is("dot_general")) return false;
  const Value &x = node.inputs()[0], &w = node.inputs()[1];
  if (!is_float(x.dtype()) || x.dtype() == f64 || !is_known(w) || is_known(x)) return false;
  if (x.shape().elements() == 0 || w.shape().elements() == 0) return false;
  return convolution ? w.shape()[1] >= kFewestGroupChannels || OpView(node).integer("groups") == 1 : w.shape()[0] == 1;
}

// Composites that products stand in, and those that go into their scale and shift.
bool is_opened(const Node& node) {
  if (!node.op().is_composite()) return false;
  return node.op().family == "linear" || node.op().family == "convolution" || node.is("batch_norm_inference");
}

Graph opened(Graph graph) {
  for (bool found = true; found;) {
    found = false;
    Rewriter rewrite;
    for (const Node* node : graph.nodes()) {
      if (!is_opened(*node)) continue;
      found = true;
      const SourceScope source(node->source());
      const Values parts = decomposition_of(rewrite(Value(*node, 0)).node());
      for (size_t k = 0; k < parts.size(); ++k) rewrite.replace(Value(*node, static_cast<uint32_t>(k)), parts[k]);
    }
    graph = rewrite(graph);
  }
  return graph;
}

// ---- weights --------------------------------------------------------------------------------------------------------

struct Weights {
  Value numbers;               // i8, of the shape of the weights
  std::vector<double> scales;  // one per output channel
};

// The axis of output channels: first of a convolution's weights, last of a matrix.
Weights quantised_weights(const Node& product, bool reduce_range) {
  const double largest = reduce_range ? 64.0 : 127.0;
  const Value& w = product.inputs()[1];
  const std::vector<double> values = numbers_of(w);
  const bool convolution = product.is("convolution");
  const auto channels = static_cast<size_t>(convolution ? w.shape()[0] : w.shape()[2]);
  const size_t run = convolution ? values.size() / channels : 1;
  const auto channel = [&](size_t i) { return i / run % channels; };
  std::vector<double> scales(channels, 0.0);
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      throw Error(Code::kInvalidArgument, cat("cannot quantise ", product.name(), " ", product.outputs()[0],
                                              ": a weight of output channel ", channel(i), " is ", values[i]));
    }
    scales[channel(i)] = std::max(scales[channel(i)], std::fabs(values[i]));
  }
  for (double& scale : scales) scale = scale > 0.0 ? scale / largest : 1.0;
  std::vector<double> rounded(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    rounded[i] = std::clamp(std::nearbyint(values[i] / scales[channel(i)]), -largest, largest);
  }
  return {ops::constant(Literal::from_doubles(i8, w.shape(), rounded)), std::move(scales)};
}

// ---- the rewriting --------------------------------------------------------------------------------------------------

// How an activation is held in 8 bits: x ~ (q - zero) scale.
struct Scale {
  DType type = u8;
  double scale = 1.0;
  int64_t zero = 0;
  bool operator<(const Scale& o) const { return std::tie(type, scale, zero) < std::tie(o.type, o.scale, o.zero); }
};

Scale scale_of(const Range& range) {
  const double low = std::min(range.low, 0.0), high = std::max(range.high, 0.0);
  const double scale = (high - low) / 255.0;
  if (!(scale > 0.0) || !std::isfinite(1.0 / scale)) return {};
  return {u8, scale, std::clamp<int64_t>(std::llround(-low / scale), 0, 255)};
}

// A value that is a product of integers, scaled and shifted per channel, perhaps rectified: max(sums scale + shift, 0).
struct Affine {
  Value sums;  // i32
  int axis;    // of channels, in sums
  std::vector<double> scale, shift;
  bool rectified = false;
};

class Rewriting {
 public:
  // Without scales: dynamic.
  Rewriting(const std::vector<const Node*>& products, bool reduce_range)
      : products_(products), reduce_range_(reduce_range), dynamic_(true) {}
  Rewriting(const std::vector<const Node*>& products, bool reduce_range,
            std::unordered_map<Value, Scale, ValueHash> scales)
      : products_(products), reduce_range_(reduce_range), dynamic_(false), scales_(std::move(scales)) {}

  Graph operator()(const Graph& graph) {
    for (const Node* node : graph.nodes()) {
      const SourceScope source(node->source());
      if (std::find(products_.begin(), products_.end(), node) != products_.end()) product(*node);
      else if (node->op().kind.value == Kind::kControl && dynamic_) control(*node);
      else if (node->outputs().size() == 1) follow(*node);
    }
    return rewrite_(graph);
  }

 private:
  static Value integer_product(const Node& node, const Value& x, const Value& w, int64_t zero) {
    if (node.is("dot_general")) return ops::integer_dot_general(x, w, zero);
    const OpView v(node);
    return ops::integer_convolution(x, w, v.integers("strides"), v.integers("low"), v.integers("high"),
                                    v.integers("dilation"), v.integers("input_dilation"), v.integer("groups"), zero);
  }

  void product(const Node& node) {
    const Weights weights = quantised_weights(node, reduce_range_);
    const Value& x = node.inputs()[0];
    const DType type = node.outputs()[0].dtype;
    const int axis = node.is("dot_general") ? 2 : 1;
    const Value result(node, 0);
    if (!dynamic_) {
      const Scale& scale = scales_.at(x);
      Affine affine{integer_product(node, quantised(x, scale), weights.numbers, scale.zero), axis, weights.scales,
                    std::vector<double>(weights.scales.size(), 0.0)};
      for (double& each : affine.scale) each *= scale.scale;
      keep(result, std::move(affine));
      return;
    }
    // The scale of the largest magnitude; 0 where there is none, so that nothing is divided by it.
    const Value now = ops::as_type(rewrite_(x), f32);
    const bool positive = never_negative(x);
    const double most = positive ? 255.0 : 127.0;
    const Value largest = ops::reduce_max(positive ? now : ops::abs(now), ops::iota_axes(now.shape().rank()), false);
    const Value inverse = ops::select(ops::compare(largest, 0.0, "gt"), ops::filled_like(largest, most) / largest, 0.0);
    const Value q =
        ops::convert(ops::round_even(now * ops::broadcast_to(inverse, now.shape().vector())), positive ? u8 : i8);
    const Value sums = ops::convert(integer_product(node, q, weights.numbers, 0), f32);
    const Value scales = ops::float_vector(f32, weights.scales) * (largest * (1.0 / most));
    rewrite_.replace(result, ops::as_type(sums * along(scales, axis, sums.shape()), type));
  }

  // Bodies of control flow, each on its own.
  void control(const Node& node) {
    std::vector<Attribute> attributes = node.attributes();
    for (Attribute& attribute : attributes) {
      if (const auto* body = std::get_if<std::shared_ptr<const Graph>>(&attribute)) {
        attribute = std::make_shared<const Graph>(Quantization(**body, reduce_range_).dynamic());
      }
    }
    std::vector<Value> inputs;
    for (const Value& v : node.inputs()) inputs.push_back(rewrite_(v));
    const Values results = all_outputs(make_node(node.op(), std::move(inputs), std::move(attributes)));
    for (size_t k = 0; k < results.size(); ++k) rewrite_.replace(Value(node, static_cast<uint32_t>(k)), results[k]);
  }

  static Value along(const Value& per_channel, int axis, const Shape& shape) {
    return ops::broadcast_to(ops::along_axis(per_channel, axis, shape.rank()), shape.vector());
  }
  static Value along(const std::vector<double>& per_channel, int axis, const Shape& shape) {
    return along(ops::float_vector(f32, per_channel), axis, shape);
  }

  // The numbers themselves, for whoever reads them; and the form, for whoever can do more with it.
  void keep(const Value& original, Affine affine) {
    const Shape& shape = affine.sums.shape();
    Value y = ops::convert(affine.sums, f32) * along(affine.scale, affine.axis, shape);
    const auto zero = [](double x) { return x == 0.0; };
    if (!std::all_of(affine.shift.begin(), affine.shift.end(), zero)) y = y + along(affine.shift, affine.axis, shape);
    if (affine.rectified) y = ops::max(y, 0.0);
    if (original.shape() != shape) y = ops::reshape(y, original.shape().vector());
    rewrite_.replace(original, ops::as_type(y, original.dtype()));
    affine_[original] = std::move(affine);
  }

  // One number per channel of `affine`'s sums, where `v`, of shape `shape`, is that.
  static std::optional<std::vector<double>> per_channel(const Value& v, const Affine& affine) {
    const Shape& shape = v.shape();
    if (!is_known(v)) return std::nullopt;
    // Where the channels' axis is: in the place it has in the sums, or still the last one.
    const bool last = affine.axis == affine.sums.shape().rank() - 1;
    const int axis = last ? shape.rank() - 1 : affine.axis;
    Value source = v;
    while (source.node().is("broadcast_to")) source = source.node().inputs()[0];
    const Shape& sizes = source.shape();
    const int missing = shape.rank() - sizes.rank();
    const auto channels = static_cast<int64_t>(affine.scale.size());
    for (int a = 0; a < sizes.rank(); ++a) {
      if (sizes[a] != 1 && (a + missing != axis || sizes[a] != channels)) return std::nullopt;
    }
    std::vector<double> numbers = numbers_of(source);
    if (numbers.size() == 1) numbers.assign(affine.scale.size(), numbers[0]);
    return numbers;
  }

  // A node behind a product takes part in its form where it can.
  void follow(const Node& node) {
    const Value result(node, 0);
    if (node.inputs().empty() || !node.inputs()[0]) return;
    const auto form = [&](size_t i) {
      return i < node.inputs().size() ? affine_.find(node.inputs()[i]) : affine_.end();
    };
    if (node.is("reshape")) {
      const auto at = form(0);
      const Shape& to = result.shape();
      if (at == affine_.end() || to.rank() == 0) return;
      const Affine& from = at->second;
      const bool last = from.axis == from.sums.shape().rank() - 1;
      if (last && to[to.rank() - 1] == static_cast<int64_t>(from.scale.size())) keep(result, Affine(from));
      return;
    }
    if (node.is("relu") || node.is("max")) {
      for (size_t i = 0; i < node.inputs().size(); ++i) {
        const auto at = form(i);
        if (at == affine_.end()) continue;
        Affine affine = at->second;
        if (node.is("max")) {
          const Value& other = node.inputs()[1 - i];
          const auto numbers = per_channel(other, affine);
          if (!numbers || std::any_of(numbers->begin(), numbers->end(), [](double x) { return x != 0.0; })) continue;
        }
        affine.rectified = true;
        keep(result, std::move(affine));
        return;
      }
      return;
    }
    const bool sum = node.is("add"), difference = node.is("sub"), multiple = node.is("mul"), quotient = node.is("div");
    if (!sum && !difference && !multiple && !quotient) return;
    for (size_t i = 0; i < (sum || multiple ? 2U : 1U); ++i) {
      const auto at = form(i);
      if (at == affine_.end() || at->second.rectified) continue;
      Affine affine = at->second;
      const auto numbers = per_channel(node.inputs()[1 - i], affine);
      if (!numbers) continue;
      bool finite = true;
      for (size_t c = 0; c < affine.scale.size(); ++c) {
        const double number = (*numbers)[c];
        if (sum || difference) affine.shift[c] += sum ? number : -number;
        else {
          affine.scale[c] = multiple ? affine.scale[c] * number : affine.scale[c] / number;
          affine.shift[c] = multiple ? affine.shift[c] * number : affine.shift[c] / number;
        }
        finite = finite && std::isfinite(affine.scale[c]) && std::isfinite(affine.shift[c]);
      }
      if (!finite) continue;
      keep(result, std::move(affine));
      return;
    }
  }

  // The original value `v` in 8 bits.
  Value quantised(const Value& v, const Scale& scale) {
    auto& known = quantised_[scale];
    if (const auto at = known.find(v); at != known.end()) return at->second;
    const Value q = moved(v, scale);
    return known[v] = q ? q : rounded(v, scale);
  }

  // Where a value only moves others about, the same of their 8-bit numbers; else nothing.
  Value moved(const Value& v, const Scale& scale) {
    const Node& node = v.node();
    if (affine_.contains(v) || node.inputs().empty()) return {};
    const bool shrinks = is_view(node) && node.inputs()[0].shape().elements() > v.shape().elements();
    const bool views = node.is("reshape") || node.is("transpose") || node.is("broadcast_to") || node.is("slice");
    const bool window = node.is("reduce_window") && OpView(node).string("kind") == "max";
    const bool zeros = node.is("pad") && OpView(node).number("value") == 0.0;
    if (shrinks || !(views || window || zeros || node.is("concat"))) return {};
    if (window && !inside_its_windows(node)) return {};
    std::vector<Value> inputs;
    for (const Value& input : node.inputs()) inputs.push_back(quantised(input, scale));
    std::vector<Attribute> attributes = node.attributes();
    if (zeros) {
      attributes[static_cast<size_t>(node.op().attribute_index("value"))] = static_cast<double>(scale.zero);
    }
    return make_node(node.op(), std::move(inputs), std::move(attributes));
  }

  // No window lies wholly in the padding: there the maximum of floats is -inf and that of 8-bit numbers is not.
  static bool inside_its_windows(const Node& node) {
    const OpView v(node);
    const Ints &size = v.integers("window"), &low = v.integers("low"), &high = v.integers("high");
    for (size_t a = 0; a < size.size(); ++a) {
      if (low[a] >= size[a] || high[a] >= size[a] || v.integers("dilation")[a] != 1) return false;
    }
    return true;
  }

  // round(x / scale) + zero, clipped by the conversion.
  Value rounded(const Value& v, const Scale& scale) {
    const double inverse = 1.0 / scale.scale;
    const auto zero = static_cast<double>(scale.zero);
    const auto at = affine_.find(v);
    if (at == affine_.end()) {
      Value x = ops::as_type(rewrite_(v), f32) * inverse;
      if (zero != 0.0) x = x + zero;
      return ops::convert(ops::round_even(x), scale.type);
    }
    Affine affine = at->second;
    for (double& each : affine.scale) each *= inverse;
    for (double& each : affine.shift) each = each * inverse + zero;
    const Shape& shape = affine.sums.shape();
    Value x = ops::convert(affine.sums, f32) * along(affine.scale, affine.axis, shape) +
              along(affine.shift, affine.axis, shape);
    if (affine.rectified && scale.zero != 0) x = ops::max(x, zero);  // where zero is the least number, clipping does it
    x = ops::convert(ops::round_even(x), scale.type);
    return v.shape() == shape ? x : ops::reshape(x, v.shape().vector());
  }

  static bool never_negative(const Value& v) {
    const Node& node = v.node();
    if (node.is("relu") || node.is("logistic") || node.is("sigmoid") || node.is("softmax") || node.is("abs") ||
        node.is("exp")) {
      return true;
    }
    const auto positive = [](const Value& input) { return never_negative(input); };
    if (node.is("max")) {
      return std::any_of(node.inputs().begin(), node.inputs().end(), [&](const Value& input) {
        if (!is_known(input) || input.shape().elements() == 0) return never_negative(input);
        Value source = input;
        while (source.node().is("broadcast_to")) source = source.node().inputs()[0];
        const std::vector<double> numbers = numbers_of(source);
        return std::all_of(numbers.begin(), numbers.end(), [](double x) { return x >= 0.0; });
      });
    }
    if (node.is("reduce_window")) return OpView(node).string("kind") != "min" && positive(node.inputs()[0]);
    if (node.is("concat") || node.is("reshape") || node.is("transpose")) {
      return std::all_of(node.inputs().begin(), node.inputs().end(), positive);
    }
    return false;
  }

  const std::vector<const Node*>& products_;
  bool reduce_range_, dynamic_;
  std::unordered_map<Value, Scale, ValueHash> scales_;  // by activation
  Rewriter rewrite_;
  std::unordered_map<Value, Affine, ValueHash> affine_;                     // by original value
  std::map<Scale, std::unordered_map<Value, Value, ValueHash>> quantised_;  // by original value
};

}  // namespace

Quantization::Quantization(const Graph& graph, bool reduce_range)
    : graph_(simplify(opened(graph))), reduce_range_(reduce_range) {
  std::vector<Value> wanted;
  for (const Node* node : graph_.nodes()) {
    if (!is_product(*node)) continue;
    products_.push_back(node);
    const Value& x = node->inputs()[0];
    if (std::find(wanted.begin(), wanted.end(), x) == wanted.end()) wanted.push_back(x);
  }
  activations_ = Graph(graph_.inputs(), wanted, graph_.input_names());
}

Graph Quantization::with_ranges(std::span<const Range> ranges) const {
  if (ranges.size() != activations_.outputs().size()) {
    throw Error(Code::kInvalidArgument,
                cat(ranges.size(), " ranges for ", activations_.outputs().size(), " activations"));
  }
  std::unordered_map<Value, Scale, ValueHash> scales;
  for (size_t i = 0; i < ranges.size(); ++i) scales[activations_.outputs()[i]] = scale_of(ranges[i]);
  return apply("quantize", graph_,
               [&](const Graph& graph) { return Rewriting(products_, reduce_range_, std::move(scales))(graph); });
}

Graph Quantization::dynamic() const {
  return apply("quantize", graph_, [&](const Graph& graph) { return Rewriting(products_, reduce_range_)(graph); });
}

}  // namespace trireme::passes
