#include "trireme/runtime/program.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <unordered_map>

#include "trireme/base/strings.h"
#include "trireme/ir/op_decl.h"
#include "trireme/ir/view.h"
#include "trireme/reference/evaluator.h"

using trireme::AttributeKind;
using trireme::Graph;
using trireme::Literal;
using trireme::Node;
using trireme::Strides;
using trireme::Value;
using trireme::View;

// The opaque struct of chip.h.
struct TrmProgram {
  struct Slot {  // one value
    trireme::TensorType type;
    Strides strides{};
    const void* constant = nullptr;  // element [0, 0, ...]
  };
  struct Step {  // one node
    const Node* node;
    std::vector<uint32_t> inputs, outputs;
    mutable const TrmProgram* body = nullptr;
    mutable std::vector<const TrmProgram*> graphs;  // per attribute
  };
  Graph graph;
  uint64_t hash = 0;
  std::vector<Slot> values;
  std::vector<uint32_t> inputs, outputs;
  std::vector<Step> steps;
  std::vector<Literal> copies;  // of constants whose views strides cannot express
  mutable std::mutex bodies;    // guards what is made on demand: Step::body and Step::graphs
  mutable std::atomic<uint32_t> references{1};

  ~TrmProgram();
};

namespace trireme::runtime {

namespace {

void retain(const TrmProgram* program) { program->references.fetch_add(1, std::memory_order_relaxed); }
void release(const TrmProgram* program) {
  if (program->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete program;
}

class Builder {
 public:
  explicit Builder(const Graph& graph) : program_(std::make_unique<TrmProgram>()) { program_->graph = graph; }

  const TrmProgram* build(std::span<const Strides> input_strides, std::span<const Strides> output_strides) {
    const Graph& graph = program_->graph;
    uint64_t hash = graph.structural_hash();
    const auto mix = [&](std::span<const Strides> list) {
      for (const Strides& s : list) hash = hash_bytes(s.data(), sizeof(Strides), hash);
    };
    for (size_t i = 0; i < graph.inputs().size(); ++i) {
      const Value& v = graph.inputs()[i];
      program_->inputs.push_back(
          add(v, i < input_strides.size() ? input_strides[i] : dense_strides(v.shape()), nullptr));
    }
    for (const Node* node : graph.nodes()) {
      if (number_.contains(Key{node, 0})) continue;
      if (!make_known(*node)) make_step(*node);
    }
    for (size_t i = 0; i < graph.outputs().size(); ++i) {
      const Value& v = graph.outputs()[i];
      const uint32_t number = number_.at(Key{&v.node(), v.index()});
      program_->outputs.push_back(number);
      if (i < output_strides.size()) program_->values[number].strides = output_strides[i];
    }
    mix(input_strides);
    mix(output_strides);
    program_->hash = hash;
    return program_.release();
  }

 private:
  struct Key {
    const Node* node;
    uint32_t index;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& k) const { return std::hash<const Node*>()(k.node) * 31 + k.index; }
  };

  uint32_t add(const Value& v, const Strides& strides, const void* constant) {
    const auto number = static_cast<uint32_t>(program_->values.size());
    program_->values.push_back({v.type(), strides, constant});
    number_[Key{&v.node(), v.index()}] = number;
    return number;
  }

  // A constant, or a view of one.
  bool make_known(const Node& node) {
    const Value value(node);
    if (node.is("constant")) {
      const Literal& literal = AttributeReader(node.op(), node.attributes()).literal("value");
      add(value, dense_strides(literal.shape()), literal.data());
      return true;
    }
    if (!is_view(node) || node.is("bitcast")) return false;
    const Value& source = node.inputs()[0];
    const TrmProgram::Slot& slot = program_->values[number_.at(Key{&source.node(), source.index()})];
    if (slot.constant == nullptr) return false;
    const auto* data = static_cast<const std::byte*>(slot.constant);
    auto view = apply_view(node, {slot.type.shape, slot.strides, 0});
    if (!view) {
      program_->copies.push_back(dense_copy(slot));
      data = static_cast<const std::byte*>(program_->copies.back().data());
      view = apply_view(node, View::dense(slot.type.shape));
    }
    add(value, view->strides, data + view->offset * static_cast<int64_t>(size_of(slot.type.dtype)));
    return true;
  }

  static Literal dense_copy(const TrmProgram::Slot& slot) {
    Literal copy = Literal::zeros(slot.type.dtype, slot.type.shape);
    auto* to = static_cast<std::byte*>(copy.mutable_data());
    const auto* from = static_cast<const std::byte*>(slot.constant);
    const auto item = static_cast<int64_t>(size_of(slot.type.dtype));
    for (int64_t i = 0; i < copy.elements(); ++i, to += item) {
      int64_t rest = i, offset = 0;
      for (int axis = slot.type.shape.rank(); axis-- > 0; rest /= slot.type.shape[axis])
        offset += rest % slot.type.shape[axis] * slot.strides[static_cast<size_t>(axis)];
      std::memcpy(to, from + offset * item, static_cast<size_t>(item));
    }
    return copy;
  }

  void make_step(const Node& node) {
    TRIREME_CHECK(!node.is("parameter"), "a parameter of the program is no input of its graph");
    TrmProgram::Step step{&node, {}, {}};
    for (const Value& v : node.inputs()) {
      step.inputs.push_back(v ? number_.at(Key{&v.node(), v.index()}) : TRM_ABSENT);
    }
    for (uint32_t k = 0; k < node.outputs().size(); ++k) {
      const Value v(node, k);
      step.outputs.push_back(add(v, dense_strides(v.shape()), nullptr));
    }
    program_->steps.push_back(std::move(step));
  }

  std::unique_ptr<TrmProgram> program_;
  std::unordered_map<Key, uint32_t, KeyHash> number_;
};

// A struct of the ABI is copied up to the size the chip was built with.
template <class T>
int32_t hand_out(const T& full, T* out) {
  if (out == nullptr || out->struct_size < sizeof(uint32_t)) return TRM_INVALID;
  const uint32_t size = std::min<uint32_t>(out->struct_size, sizeof(T));
  std::memcpy(static_cast<void*>(out), &full, size);
  out->struct_size = size;
  return TRM_OK;
}

int32_t read_value(const TrmProgram* program, uint32_t number, TrmValue* out) {
  if (number >= program->values.size()) return TRM_INVALID;
  const auto& slot = program->values[number];
  TrmValue value{};
  value.struct_size = sizeof value;
  value.dtype = static_cast<uint32_t>(slot.type.dtype);
  value.rank = static_cast<uint32_t>(slot.type.shape.rank());
  value.known = slot.constant != nullptr;
  value.constant_data = slot.constant;
  for (int a = 0; a < slot.type.shape.rank(); ++a) {
    value.dims[a] = slot.type.shape[a];
    value.strides[a] = slot.strides[static_cast<size_t>(a)];
  }
  return hand_out(value, out);
}

int32_t read_node(const TrmProgram* program, uint32_t number, TrmNode* out) {
  if (number >= program->steps.size()) return TRM_INVALID;
  const auto& step = program->steps[number];
  TrmNode node{};
  node.struct_size = sizeof node;
  node.version = 1;
  node.op = step.node->name().data();
  node.input_count = static_cast<uint32_t>(step.inputs.size());
  node.output_count = static_cast<uint32_t>(step.outputs.size());
  node.inputs = step.inputs.data();
  node.outputs = step.outputs.data();
  return hand_out(node, out);
}

int32_t read_attribute(const TrmProgram* program, uint32_t number, uint32_t index, TrmAttr* out) {
  if (number >= program->steps.size()) return TRM_INVALID;
  const auto& step = program->steps[number];
  if (index >= step.node->attributes().size()) return TRM_INVALID;
  const Attribute& value = step.node->attributes()[index];
  TrmAttr attribute{};
  attribute.struct_size = sizeof attribute;
  attribute.kind = static_cast<uint32_t>(value.index());
  attribute.name = step.node->op().attributes.list[index].name.data();
  switch (kind_of(value)) {
    case AttributeKind::kInt: attribute.i = std::get<int64_t>(value); break;
    case AttributeKind::kFloat: attribute.f = std::get<double>(value); break;
    case AttributeKind::kBool: attribute.i = std::get<bool>(value); break;
    case AttributeKind::kString: attribute.s = std::get<std::string>(value).c_str(); break;
    case AttributeKind::kDType: attribute.i = static_cast<int64_t>(std::get<DType>(value)); break;
    case AttributeKind::kInts: {
      const Ints& list = std::get<Ints>(value);
      attribute.ints = list.data();
      attribute.count = list.size();
      break;
    }
    case AttributeKind::kLiteral: {
      const Literal& literal = *std::get<std::shared_ptr<const Literal>>(value);
      attribute.tensor = literal.data();
      attribute.count = literal.bytes();
      break;
    }
    case AttributeKind::kGraph: {
      const std::lock_guard lock(program->bodies);
      step.graphs.resize(step.node->attributes().size());
      if (step.graphs[index] == nullptr) {
        step.graphs[index] = Builder(*std::get<std::shared_ptr<const Graph>>(value)).build({}, {});
      }
      attribute.program = step.graphs[index];
      break;
    }
  }
  return hand_out(attribute, out);
}

// The decomposition as a program over the node's inputs; constants among them stay known.
const TrmProgram* read_body(const TrmProgram* program, uint32_t number) {
  if (number >= program->steps.size()) return nullptr;
  const auto& step = program->steps[number];
  if (step.node->op().meaning.decompose == nullptr) return nullptr;
  const std::lock_guard lock(program->bodies);
  if (step.body == nullptr) {
    std::vector<Value> parameters, inputs;
    std::vector<Strides> strides;
    for (size_t i = 0; i < step.inputs.size(); ++i) {
      const Value& v = step.node->inputs()[i];
      const bool known = v && program->values[step.inputs[i]].constant != nullptr;
      if (!v || known) {
        inputs.push_back(v);
        continue;
      }
      inputs.push_back(trireme::parameter(v.dtype(), v.shape()));
      parameters.push_back(inputs.back());
      strides.push_back(program->values[step.inputs[i]].strides);
    }
    const Value copy = make_node(step.node->op(), inputs, step.node->attributes());
    step.body = Builder(Graph(parameters, decomposition_of(copy.node()))).build(strides, {});
  }
  return step.body;
}

const TrmProgramReader kReader = {
    .struct_size = sizeof(TrmProgramReader),
    .reserved = 0,
    .hash = [](const TrmProgram* p) { return p->hash; },
    .flags = [](const TrmProgram*) -> uint32_t { return TRM_PROGRAM_DETERMINISTIC; },
    .value_count = [](const TrmProgram* p) { return static_cast<uint32_t>(p->values.size()); },
    .value = read_value,
    .input_count = [](const TrmProgram* p) { return static_cast<uint32_t>(p->inputs.size()); },
    .input = [](const TrmProgram* p, uint32_t i) { return i < p->inputs.size() ? p->inputs[i] : TRM_ABSENT; },
    .output_count = [](const TrmProgram* p) { return static_cast<uint32_t>(p->outputs.size()); },
    .output = [](const TrmProgram* p, uint32_t i) { return i < p->outputs.size() ? p->outputs[i] : TRM_ABSENT; },
    .node_count = [](const TrmProgram* p) { return static_cast<uint32_t>(p->steps.size()); },
    .node = read_node,
    .attr_count =
        [](const TrmProgram* p, uint32_t n) {
          return n < p->steps.size() ? static_cast<uint32_t>(p->steps[n].node->attributes().size()) : 0u;
        },
    .attr_at = read_attribute,
    .attr = [](const TrmProgram* p, uint32_t n, const char* name, TrmAttr* out) -> int32_t {
      if (n >= p->steps.size()) return TRM_INVALID;
      const int index = p->steps[n].node->op().attribute_index(name);
      return index < 0 ? static_cast<int32_t>(TRM_INVALID) : read_attribute(p, n, static_cast<uint32_t>(index), out);
    },
    .body = read_body,
    .retain = retain,
    .release = release,
};

// Between strided memory and the evaluator's dense vectors.
template <bool kStore, class V>
void transfer(const TrmProgram::Slot& slot, void* memory, V& value) {
  const Shape& shape = slot.type.shape;
  visit_dtype(slot.type.dtype, [&]<class T>() {
    T* base = static_cast<T*>(memory);
    int64_t index[kMaxRank] = {};
    int64_t at = 0;
    const int64_t count = shape.elements();
    for (int64_t i = 0; i < count; ++i) {
      if constexpr (kStore) {
        if (value.floating()) convert_elements(f64, &value.real[static_cast<size_t>(i)], slot.type.dtype, base + at, 1);
        else convert_elements(i64, &value.integer[static_cast<size_t>(i)], slot.type.dtype, base + at, 1);
      } else {
        if (value.floating()) convert_elements(slot.type.dtype, base + at, f64, &value.real[static_cast<size_t>(i)], 1);
        else convert_elements(slot.type.dtype, base + at, i64, &value.integer[static_cast<size_t>(i)], 1);
      }
      for (int a = shape.rank() - 1; a >= 0; --a) {
        at += slot.strides[static_cast<size_t>(a)];
        if (++index[a] < shape[a]) break;
        at -= slot.strides[static_cast<size_t>(a)] * shape[a];
        index[a] = 0;
      }
    }
  });
}

int32_t evaluate_program(const TrmProgram* program, const void* const* inputs, void* const* outputs, TrmErr* err) {
  try {
    std::vector<Evaluated> arguments;
    for (size_t i = 0; i < program->inputs.size(); ++i) {
      const auto& slot = program->values[program->inputs[i]];
      arguments.emplace_back(slot.type);
      transfer<false>(slot, const_cast<void*>(inputs[i]), arguments.back());
    }
    const auto results = reference::evaluate_unrounded(program->graph, arguments);
    for (size_t i = 0; i < results.size(); ++i) {
      transfer<true>(program->values[program->outputs[i]], outputs[i], results[i]);
    }
    return TRM_OK;
  } catch (const std::exception& failure) {
    if (err != nullptr) {
      err->code = TRM_INTERNAL;
      std::strncpy(err->text, failure.what(), sizeof err->text - 1);
      err->text[sizeof err->text - 1] = '\0';
    }
    return TRM_INTERNAL;
  }
}

const TrmEvaluate kEvaluate = {
    .struct_size = sizeof(TrmEvaluate),
    .reserved = 0,
    .run = evaluate_program,
    .cost = [](const TrmProgram* program, double* flops, double* bytes) -> int32_t {
      Work total;
      for (const auto& step : program->steps) {
        const Work work = work_of(*step.node);
        total.flops += work.flops;
        total.bytes += work.bytes;
      }
      *flops = total.flops;
      *bytes = total.bytes;
      return TRM_OK;
    },
    .can_run = [](const TrmProgram* program) -> int32_t {
      constexpr int64_t kMost = int64_t{1} << 28;  // all are doubles inside
      return reference::can_evaluate(program->graph) &&
             std::all_of(program->values.begin(), program->values.end(),
                         [](const TrmProgram::Slot& value) { return value.type.shape.elements() <= kMost; });
    },
};

double flops_of(const Node& node) {
  const Cost& cost = node.op().cost;
  if (cost.flops != nullptr) return cost.flops(OpView(node));
  if (!cost.sum_of_parts) return cost.per_element * static_cast<double>(node.outputs()[0].shape.elements());
  // The body's own nodes: what lies behind the node's inputs is not part of it.
  double total = 0.0;
  std::unordered_map<const Node*, bool> outside;
  for (const Value& v : node.inputs()) {
    if (v) outside[&v.node()] = true;
  }
  std::vector<Value> stack = decomposition_of(node);
  while (!stack.empty()) {
    const Value v = stack.back();
    stack.pop_back();
    if (!v || !outside.try_emplace(&v.node(), true).second) continue;
    total += flops_of(v.node());
    for (const Value& input : v.node().inputs()) stack.push_back(input);
  }
  return total;
}

}  // namespace

ProgramRef::ProgramRef(const ProgramRef& other) : program_(other.program_) {
  if (program_ != nullptr) retain(program_);
}
ProgramRef::~ProgramRef() {
  if (program_ != nullptr) release(program_);
}

ProgramRef make_program(const Graph& graph, std::span<const Strides> inputs, std::span<const Strides> outputs) {
  return ProgramRef(Builder(graph).build(inputs, outputs));
}
const Graph& graph_of(const TrmProgram& program) { return program.graph; }
const TrmProgramReader& program_reader() { return kReader; }
const TrmEvaluate& evaluate_service() { return kEvaluate; }

Work work_of(const Node& node) {
  Work work{flops_of(node), 0.0};
  for (const Value& v : node.inputs()) work.bytes += v ? static_cast<double>(v.type().bytes()) : 0.0;
  for (const TensorType& type : node.outputs()) work.bytes += static_cast<double>(type.bytes());
  return work;
}

}  // namespace trireme::runtime

TrmProgram::~TrmProgram() {
  for (const Step& step : steps) {
    if (step.body != nullptr) trireme::runtime::release(step.body);
    for (const TrmProgram* graph_attribute : step.graphs) {
      if (graph_attribute != nullptr) trireme::runtime::release(graph_attribute);
    }
  }
}
