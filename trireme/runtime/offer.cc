#include "trireme/runtime/offer.h"

#include <algorithm>
#include <mutex>

#include "trireme/base/strings.h"
#include "trireme/ir/op_decl.h"
#include "trireme/ir/registry.h"
#include "trireme/ir/view.h"

namespace trireme::runtime {

namespace {

const char* reason_text(uint32_t reason) {
  switch (reason) {
    case TRM_REASON_OP: return "no kernel";
    case TRM_REASON_DTYPE: return "no kernel for this element type";
    case TRM_REASON_SHAPE: return "no kernel for this shape";
    case TRM_REASON_ATTRIBUTE: return "no kernel for these attributes";
    case TRM_REASON_LAYOUT: return "no kernel for this layout";
    case TRM_REASON_SIZE: return "size does not pay";
    case TRM_REASON_REGION: return "regions are not taken";
    default: return "refused";
  }
}

// Time by the roofline of the device's properties, for a chip that gives none.
double roofline_ns(const Device& device, const Graph& region) {
  const TrmProps& props = device.props();
  double flops = 0.0, bytes = 0.0;
  for (const Node* node : region.nodes()) {
    if (is_free(*node)) continue;
    const Work work = work_of(*node);
    flops += work.flops;
    bytes += work.bytes;
  }
  const double peak = props.flops_f32 > 0 ? props.flops_f32 : 1e10;
  const double bandwidth = props.memory_bandwidth > 0 ? props.memory_bandwidth : 1e10;
  return props.launch_latency_ns + 1e9 * std::max(flops / peak, bytes / bandwidth);
}

Strides strides_in_order(const Shape& shape, const uint8_t* order) {
  Strides strides{};
  int64_t step = 1;
  for (int k = shape.rank() - 1; k >= 0; --k) {
    const auto axis = static_cast<size_t>(order[k]);
    strides[axis] = step;
    step *= std::max<int64_t>(shape[static_cast<int>(axis)], 1);
  }
  return strides;
}

bool is_permutation(const uint8_t* order, int rank) {
  uint32_t seen = 0;
  for (int k = 0; k < rank; ++k) seen |= order[k] < rank ? 1u << order[k] : 0u;
  return seen == (1u << rank) - 1;
}

// A constant, or a view of one, with its elements in another type.
Value known_as(const Value& value, DType dtype) {
  const Node* base = &value.node();
  while (!base->is("constant")) base = &base->inputs()[0].node();
  const Literal& literal = AttributeReader(base->op(), base->attributes()).literal("value");
  Literal converted = Literal::zeros(dtype, literal.shape());
  convert_elements(literal.dtype(), literal.data(), dtype, converted.mutable_data(), literal.elements());
  Rewriter rewrite;
  rewrite.replace(Value(*base), make_node(base->op(), {}, {std::make_shared<const Literal>(std::move(converted))}));
  return rewrite(value);
}

struct AnswerKey {
  const Device* device;
  uint64_t program;
  bool operator==(const AnswerKey&) const = default;
};
struct AnswerKeyHash {
  size_t operator()(const AnswerKey& k) const { return mix_hash(reinterpret_cast<uintptr_t>(k.device), k.program); }
};

struct AnswerCache {
  std::mutex mutex;
  std::unordered_map<AnswerKey, Answer, AnswerKeyHash> answers;
  static AnswerCache& instance() {
    static auto* cache = new AnswerCache;
    return *cache;
  }
};

Answer query(Device& device, const ProgramRef& program) {
  Answer out;
  const Graph& region = graph_of(*program.get());
  if (!device.computes()) {
    out.reason = "the chip has no compute bank";
    return out;
  }
  if (region.inputs().size() + region.outputs().size() > TRM_MAX_OPERANDS) {
    out.reason = cat("more than ", TRM_MAX_OPERANDS, " operands");
    return out;
  }
  device.check_up();
  TrmAnswer answer{};
  answer.struct_size = sizeof answer;
  for (int32_t& slot : answer.in_place) slot = -1;
  TrmErr err{};
  err.struct_size = sizeof err;
  const int32_t code = device.chip().compute()->query(device.handle(), program.get(), &answer, &err);
  if (code == TRM_DEVICE_LOST || code == TRM_FAULT) {  // no answer, and none to be remembered
    throw Error(Code::kDeviceFault, cat(device.name(), ": cannot be asked: ", err.text, "; reset the device first"));
  }
  if (code != TRM_OK) {
    out.reason = err.text[0] != '\0' ? err.text : "the chip failed to answer";
    return out;
  }
  answer.text[sizeof answer.text - 1] = '\0';
  out.verdict = static_cast<TrmVerdict>(answer.verdict);
  out.runs_on_host = answer.runs_on_host != 0;
  out.workspace = answer.workspace_bytes;
  out.fixed_point_bits = answer.fixed_point_bits;
  out.reason = answer.text[0] != '\0' ? std::string(answer.text) : std::string(reason_text(answer.reason));
  if (out.verdict == TRM_NO) return out;
  out.ns = answer.estimated_ns > 0 ? answer.estimated_ns : roofline_ns(device, region);
  for (size_t k = 0; k < region.outputs().size(); ++k) {
    const int32_t input = answer.in_place[k];
    const bool known = input >= 0 && input < static_cast<int32_t>(region.inputs().size());
    out.in_place.push_back(known || input == TRM_ANY_INPUT ? input : -1);
  }
  const size_t operands = region.inputs().size() + region.outputs().size();
  for (uint32_t k = 0; k < answer.conversion_count && k < TRM_MAX_OPERANDS; ++k) {
    const TrmConversion& c = answer.conversions[k];
    if (c.operand >= operands) continue;
    const Value& v = c.operand < region.inputs().size() ? region.inputs()[c.operand]
                                                        : region.outputs()[c.operand - region.inputs().size()];
    if (!is_permutation(c.order, v.shape().rank()) || c.dtype < 1 || c.dtype > TRM_BOOL) {
      out.verdict = TRM_NO;
      out.reason = "the chip asks for an impossible conversion";
      return out;
    }
    out.conversions.push_back({c.operand, static_cast<DType>(c.dtype), strides_in_order(v.shape(), c.order)});
  }
  return out;
}

}  // namespace

bool Answer::wants_types(const Graph& region) const {
  for (const Conversion& c : conversions) {
    const Value& v = c.operand < region.inputs().size() ? region.inputs()[c.operand]
                                                        : region.outputs()[c.operand - region.inputs().size()];
    if (v.dtype() != c.dtype) return true;
  }
  return false;
}

Answer ask(Device& device, const ProgramRef& program) {
  AnswerCache& cache = AnswerCache::instance();
  const AnswerKey key{&device, program_reader().hash(program.get())};
  {
    const std::lock_guard lock(cache.mutex);
    if (const auto at = cache.answers.find(key); at != cache.answers.end()) return at->second;
  }
  Answer answer = query(device, program);
  const std::lock_guard lock(cache.mutex);
  return cache.answers.emplace(key, std::move(answer)).first->second;
}

Answer ask(Device& device, const Graph& region, std::span<const Strides> inputs, std::span<const Strides> outputs) {
  return ask(device, make_program(region, inputs, outputs));
}

bool is_known(const Value& value) {
  const Node* node = &value.node();
  while (is_view(*node) && !node->is("bitcast")) node = &node->inputs()[0].node();
  return node->is("constant");
}

bool is_free(const Node& node) { return node.is("parameter") || node.is("constant") || is_view(node); }

bool is_assembly(const Node& node) { return node.is("concat") || node.is("pad"); }

Graph single(const Node& node, std::vector<Value>* arguments) {
  std::vector<Value> inputs, parameters;
  for (const Value& v : node.inputs()) {
    if (!v || is_known(v)) {
      inputs.push_back(v);
      continue;
    }
    inputs.push_back(parameter(v.dtype(), v.shape()));
    parameters.push_back(inputs.back());
    if (arguments != nullptr) arguments->push_back(v);
  }
  const Value copy = make_node(node.op(), inputs, node.attributes());
  return {parameters, all_outputs(copy)};
}

const std::string& Expansion::reason(const Node& node) const {
  static const std::string none;
  const auto at = reasons_.find(&node);
  return at != reasons_.end() ? at->second : none;
}

Graph Expansion::operator()(const Graph& graph) {
  settled_.clear();
  settled_parts_.clear();
  expanded_.clear();
  std::vector<const Node*> parts;
  if (graph.outputs().empty()) return graph;
  const Values outputs = settle_body(Values(graph.outputs().begin(), graph.outputs().end()), {}, parts);
  // Inputs that nothing reads stay inputs.
  return {graph.inputs(), outputs, graph.input_names(), graph.output_names()};
}

// Settles every node that `body` reaches, down to parameters and to the values in `outer`.
Values Expansion::settle_body(const Values& body, std::span<const Value> outer, std::vector<const Node*>& parts) {
  std::unordered_map<const Node*, Values> image;
  for (const Value& v : outer) {
    if (v) image[&v.node()] = all_outputs(Value(v.node(), 0));
  }
  for (const Node* node : nodes_between(outer, body)) {
    std::vector<Value> inputs;
    bool changed = false;
    for (const Value& v : node->inputs()) {
      inputs.push_back(v ? image.at(&v.node())[v.index()] : Value{});
      changed = changed || !(inputs.back() == v);
    }
    Value value(*node, 0);
    if (changed) {
      const SourceScope source(node->source());
      value = make_node(node->op(), std::move(inputs), node->attributes());
    }
    image[node] = settle(value, parts);
  }
  Values out;
  for (const Value& v : body) out.push_back(image.at(&v.node())[v.index()]);
  return out;
}

namespace {

// Whether a reshape only adds or drops axes of size 1.
bool keeps_sizes(const Node& node) {
  if (!node.is("reshape")) return false;
  const auto large = [](const Shape& shape) {
    std::vector<int64_t> sizes;
    for (int64_t size : shape.vector()) {
      if (size != 1) sizes.push_back(size);
    }
    return sizes;
  };
  return large(node.inputs()[0].shape()) == large(node.outputs()[0].shape);
}

// An elementwise node on a computed value seen through such a reshape, as a reshape of the node on the value itself: so
// it can be offered together with what computes the value. Null for other nodes.
Value on_unshaped(const Value& value) {
  const Node& node = value.node();
  if (node.op().kind.value != Kind::kElementwise || node.op().is_composite() || node.outputs().size() != 1) return {};
  const auto seen = std::find_if(node.inputs().begin(), node.inputs().end(), [](const Value& v) {
    return v && keeps_sizes(v.node()) && !is_free(v.node().inputs()[0].node());
  });
  const bool beside =
      std::any_of(node.inputs().begin(), node.inputs().end(), [](const Value& v) { return v && !is_free(v.node()); });
  if (seen == node.inputs().end() || beside) return {};  // `beside`: another value is computed in this shape
  const Shape& shape = seen->node().inputs()[0].shape();
  const OpDecl& reshape = get_op("reshape");
  const SourceScope source(node.source());
  std::vector<Value> inputs;
  for (const Value& v : node.inputs()) {
    const bool back = v && v.node().is("reshape") && v.node().inputs()[0].shape() == shape;
    inputs.push_back(back                       ? v.node().inputs()[0]
                     : !v || v.shape() == shape ? v
                                                : make_node(reshape, {v}, {Ints(shape.vector())}));
  }
  const Value inner = make_node(node.op(), std::move(inputs), node.attributes());
  return inner.shape() == value.shape() ? inner : make_node(reshape, {inner}, {Ints(value.shape().vector())});
}

}  // namespace

Values Expansion::settle(const Value& value, std::vector<const Node*>& parts) {
  const Node& node = value.node();
  if (const auto at = settled_.find(&node); at != settled_.end()) {
    const auto& known = settled_parts_[&node];
    parts.insert(parts.end(), known.begin(), known.end());
    return at->second;
  }
  alive_.push_back(value);
  std::vector<const Node*> own;
  Values result;
  if (const Value moved = on_unshaped(value)) {
    std::vector<Value> settled = node.inputs();
    for (const Value& v : node.inputs()) {
      if (v && is_view(v.node())) settled.push_back(v.node().inputs()[0]);
    }
    result = settle_body({moved}, settled, own);
    parts.insert(parts.end(), own.begin(), own.end());
    settled_parts_[&node] = std::move(own);
    return settled_[&node] = result;
  }
  const bool host_only = node.op().kind.value == Kind::kControl;
  if (is_free(node)) {
    result = all_outputs(value);
  } else if (host_only || is_assembly(node) || keep_.contains(&node) || node.is(keep_name_)) {
    result = all_outputs(value);
    own.push_back(&node);
  } else {
    const Graph region = single(node);
    const Answer answer = ask(device_, region);
    if (answer.verdict == TRM_NATIVE_AFTER_CONVERSION && answer.wants_types(region)) {
      reasons_[&node] = answer.reason;
      result = with_other_types(node, answer, own);
    } else if ((answer.verdict != TRM_NO && !answer.runs_on_host) || node.op().meaning.decompose == nullptr) {
      if (answer.verdict == TRM_NO || answer.runs_on_host) reasons_[&node] = answer.reason;
      result = all_outputs(value);
      own.push_back(&node);
    } else {
      reasons_[&node] = answer.reason;
      const size_t position = expanded_.size();
      expanded_.push_back({value, {}});
      result = settle_body(decomposition_of(node), node.inputs(), own);
      expanded_[position].nodes = own;
    }
  }
  parts.insert(parts.end(), own.begin(), own.end());
  settled_parts_[&node] = std::move(own);
  settled_[&node] = result;
  return result;
}

// Converts the operands the chip wants otherwise, asks again, and converts the results back.
Values Expansion::with_other_types(const Node& node, const Answer& answer, std::vector<const Node*>& parts) {
  const OpDecl& convert = get_op("convert");
  const SourceScope source(node.source());
  std::vector<size_t> position;  // of the region's inputs among the node's
  for (size_t i = 0; i < node.inputs().size(); ++i) {
    if (node.inputs()[i] && !is_known(node.inputs()[i])) position.push_back(i);
  }
  std::vector<Value> inputs = node.inputs();
  std::vector<Attribute> attributes = node.attributes();
  for (const Conversion& c : answer.conversions) {
    if (c.operand < position.size()) {
      Value& v = inputs[position[c.operand]];
      if (v.dtype() == c.dtype) continue;
      v = settle(make_node(convert, {v}, {c.dtype}), parts)[0];
    } else if (const int at = node.op().attribute_index("dtype"); at >= 0) {
      attributes[static_cast<size_t>(at)] = c.dtype;
    }
  }
  // Constants follow the first converted operand of the same type.
  for (const Conversion& c : answer.conversions) {
    if (c.operand >= position.size()) continue;
    const DType before = node.inputs()[position[c.operand]].dtype();
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i] && is_known(inputs[i]) && inputs[i].dtype() == before && before != c.dtype) {
        inputs[i] = known_as(inputs[i], c.dtype);
      }
    }
  }
  const Value converted = make_node(node.op(), std::move(inputs), std::move(attributes));
  if (&converted.node() == &node) {  // nothing the host can change
    parts.push_back(&node);
    return all_outputs(converted);
  }
  Values out;
  const Values settled = settle(converted, parts);
  for (size_t k = 0; k < settled.size(); ++k) {
    const DType wanted = node.outputs()[k].dtype;
    out.push_back(settled[k].dtype() == wanted ? settled[k]
                                               : settle(make_node(convert, {settled[k]}, {wanted}), parts)[0]);
  }
  return out;
}

}  // namespace trireme::runtime
