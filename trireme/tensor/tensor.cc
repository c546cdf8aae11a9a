#include "trireme/tensor/tensor.h"

#include <algorithm>
#include <cstddef>
#include <memory_resource>
#include <mutex>
#include <unordered_set>

#include "trireme/base/strings.h"
#include "trireme/core/philox.h"
#include "trireme/ir/op_decl.h"
#include "trireme/ops/ops.h"
#include "trireme/ops/value.h"
#include "trireme/passes/gradient.h"
#include "trireme/runtime/plan_cache.h"
#include "trireme/tensor/state.h"

namespace trireme {

namespace {

struct Settings {
  std::mutex mutex;
  runtime::Device* device = nullptr;
  Fallback fallback = Fallback::kWarn;
  static Settings& instance() {
    static Settings settings;
    return settings;
  }
};

}  // namespace

// --- what is there already ----------------------------------------------------------------------------------------

namespace detail {

runtime::Device& target_device() {
  Settings& settings = Settings::instance();
  const std::lock_guard lock(settings.mutex);
  if (settings.device == nullptr) settings.device = &runtime::Device::host();
  return *settings.device;
}

Fallback fallback_mode() {
  Settings& settings = Settings::instance();
  const std::lock_guard lock(settings.mutex);
  return settings.fallback;
}

runtime::BufferRef buffer_of(const Value& value) {
  const auto held = std::static_pointer_cast<Attachment>(value.node().attachment());
  if (!held) return nullptr;
  if (held->leaf) return held->leaf;
  return value.index() < held->results.size() ? held->results[value.index()].lock() : nullptr;
}

Value make_leaf(runtime::BufferRef buffer, const std::shared_ptr<Tensor::State>& owner) {
  const Value leaf = parameter(buffer->type.dtype, buffer->type.shape);
  auto held = std::make_shared<Attachment>();
  held->leaf = std::move(buffer);
  held->owner = owner;
  leaf.node().attach(std::move(held));
  return leaf;
}

void set_leaf(const std::shared_ptr<Tensor::State>& state, runtime::BufferRef buffer) {
  state->value = make_leaf(std::move(buffer), state);
  state->trace = 0;
}

Pending pending_graph(const std::vector<Value>& wanted, const std::vector<Value>& arguments) {
  Pending out;
  Rewriter rewrite;
  bool rewrites = false;
  alignas(std::max_align_t) std::byte first[8 << 10];  // of the tables' memory
  std::pmr::monotonic_buffer_resource memory(first, sizeof first);
  std::pmr::unordered_set<const Node*> given(&memory), seen(&memory);
  for (const Value& v : arguments) given.insert(&v.node());
  std::vector<Value> parameters = arguments;
  std::vector<Value> stack(wanted.rbegin(), wanted.rend());
  const auto take = [&](const Value& v, runtime::BufferRef buffer) {
    const bool leaf = v.node().is("parameter");
    const Value input = leaf ? v : parameter(v.dtype(), v.shape());
    if (!leaf) rewrite.replace(v, input);
    rewrites |= !leaf;
    parameters.push_back(input);
    out.inputs.push_back(std::move(buffer));
    out.leaves.push_back(v);
  };
  while (!stack.empty()) {
    const Value v = stack.back();
    stack.pop_back();
    if (given.contains(&v.node())) continue;
    if (auto buffer = buffer_of(v)) {
      const bool is_new = v.node().outputs().size() == 1
                              ? seen.insert(&v.node()).second
                              : std::find(out.leaves.begin(), out.leaves.end(), v) == out.leaves.end();
      if (is_new) take(v, std::move(buffer));
      continue;
    }
    if (v.node().is("parameter")) {
      throw Error(Code::kInvalidArgument, cat("a value depends on an argument of a compiled function that has ended "
                                              "(made at ",
                                              v.node().source(), "); return it from the function instead"));
    }
    if (!seen.insert(&v.node()).second) continue;
    for (auto input = v.node().inputs().rbegin(); input != v.node().inputs().rend(); ++input) {
      if (*input) stack.push_back(*input);
    }
  }
  std::vector<Value> outputs;
  for (const Value& v : wanted) outputs.push_back(rewrites ? rewrite(v) : v);
  out.graph = Graph(std::move(parameters), std::move(outputs));
  return out;
}

}  // namespace detail

// --- computing ----------------------------------------------------------------------------------------------------

namespace {

std::vector<runtime::BufferRef> compute(const detail::Pending& pending, runtime::Device& target) {
  runtime::PlanOptions options;
  options.target = &target;
  options.fallback = detail::fallback_mode();
  for (const auto& buffer : pending.inputs) options.input_devices.push_back(&buffer->device);
  return runtime::plan_for(pending.graph, options)->run(pending.inputs);
}

void eval_states(const std::vector<std::shared_ptr<Tensor::State>>& states) {
  std::vector<Value> wanted;
  std::vector<std::shared_ptr<Tensor::State>> lazy;
  for (const auto& state : states) {
    if (auto buffer = detail::buffer_of(state->value)) {
      if (!state->value.node().is("parameter")) detail::set_leaf(state, std::move(buffer));
      continue;
    }
    wanted.push_back(state->value);
    lazy.push_back(state);
  }
  if (lazy.empty()) return;
  const auto pending = detail::pending_graph(wanted);
  const auto buffers = compute(pending, detail::target_device());
  for (size_t i = 0; i < lazy.size(); ++i) {
    const Node& node = lazy[i]->value.node();
    auto held = std::static_pointer_cast<detail::Attachment>(node.attachment());
    auto results = std::make_shared<detail::Attachment>();
    if (held) *results = *held;
    results->results.resize(node.outputs().size());
    results->results[lazy[i]->value.index()] = buffers[i];
    node.attach(std::move(results));
    detail::set_leaf(lazy[i], buffers[i]);
  }
}

}  // namespace

runtime::BufferRef detail::ready_buffer(const std::shared_ptr<Tensor::State>& state) {
  eval_states({state});
  return buffer_of(state->value);
}

void eval(const std::vector<Tensor>& tensors) {
  std::vector<std::shared_ptr<Tensor::State>> states;
  for (const Tensor& t : tensors) {
    if (t) states.push_back(t.state());
  }
  eval_states(states);
  for (const auto& state : states) {
    const auto buffer = detail::buffer_of(state->value);
    if (!buffer->device.synchronous()) buffer->device.synchronize();
  }
}

std::vector<Tensor> grad(const Tensor& loss, const std::vector<Tensor>& wrt, std::source_location where) {
  const SourceScope scope(where.file_name(), static_cast<int>(where.line()));
  if (loss.shape().elements() != 1) {
    throw Error(Code::kInvalidArgument, cat("grad() needs a loss of one element; this one is ", loss.value().type(),
                                            "; take its mean() or sum()"));
  }
  return tensors_of(passes::gradient({loss.value()}, values_of(wrt)));
}

Graph capture(const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs,
              const std::vector<std::string>& input_names, const std::vector<std::string>& output_names) {
  Rewriter rewrite;
  std::vector<Value> parameters, results;
  for (const Tensor& t : inputs) {
    parameters.push_back(parameter(t.dtype(), t.shape()));
    rewrite.replace(t.value(), parameters.back());
  }
  for (const Tensor& t : outputs) results.push_back(rewrite(t.value()));
  const auto pending = detail::pending_graph(results, parameters);
  Rewriter constants;
  for (size_t i = 0; i < pending.leaves.size(); ++i) {
    const Value& leaf = pending.graph.inputs()[parameters.size() + i];
    constants.replace(leaf, ops::constant(pending.inputs[i]->read()));
  }
  std::vector<Value> fixed;
  for (const Value& v : pending.graph.outputs()) fixed.push_back(constants(v));
  return {parameters, fixed, input_names, output_names};
}

std::vector<Tensor> run(const Graph& graph, const std::vector<Tensor>& inputs) {
  std::vector<Value> arguments;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (i >= graph.inputs().size() || inputs[i].value().type() != graph.inputs()[i].type()) break;
    arguments.push_back(inputs[i].value());
  }
  if (arguments.size() != graph.inputs().size() || inputs.size() != graph.inputs().size()) {
    std::string expected, given;
    for (const Value& v : graph.inputs()) expected += cat(expected.empty() ? "" : ", ", v.type());
    for (const Tensor& t : inputs) given += cat(given.empty() ? "" : ", ", t.value().type());
    throw Error(Code::kInvalidArgument, cat("the graph takes (", expected, "); given (", given, ")"));
  }
  return tensors_of(inline_graph(graph, arguments));
}

// --- devices ------------------------------------------------------------------------------------------------------

void set_device(std::string_view name) {
  runtime::Device& device = runtime::Device::get(name);
  Settings& settings = Settings::instance();
  const std::lock_guard lock(settings.mutex);
  settings.device = &device;
}

std::string current_device() { return detail::target_device().name(); }

void set_fallback(Fallback mode) {
  Settings& settings = Settings::instance();
  const std::lock_guard lock(settings.mutex);
  settings.fallback = mode;
}

// --- arithmetic ---------------------------------------------------------------------------------------------------

namespace {

// A number takes the other operand's type; a fraction beside an integer tensor makes both f32.
Value operand_value(const Operand& operand, const Operand& other) {
  if (operand.tensor != nullptr) return operand.tensor->value();
  DType type = other.tensor != nullptr ? other.tensor->dtype() : f32;
  if (type == boolean || (!is_float(type) && !operand.whole)) type = operand.whole ? i32 : f32;
  return ops::scalar(type, operand.number);
}

template <class F>
Tensor binary(const Operand& x, const Operand& y, F f) {
  const SourceScope scope(x.where.file_name(), static_cast<int>(x.where.line()));
  return Tensor(f(operand_value(x, y), operand_value(y, x)));
}

}  // namespace

Tensor operator+(const Operand& x, const Operand& y) {
  return binary(x, y, [](const Value& a, const Value& b) { return ops::add(a, b); });
}
Tensor operator-(const Operand& x, const Operand& y) {
  return binary(x, y, [](const Value& a, const Value& b) { return ops::sub(a, b); });
}
Tensor operator*(const Operand& x, const Operand& y) {
  return binary(x, y, [](const Value& a, const Value& b) { return ops::mul(a, b); });
}
Tensor operator/(const Operand& x, const Operand& y) {
  return binary(x, y, [](const Value& a, const Value& b) { return ops::div(a, b); });
}
Tensor operator-(const Tensor& x) { return Tensor(ops::neg(x.value())); }
Tensor operator<(const Operand& x, const Operand& y) {
  return binary(x, y, [](const Value& a, const Value& b) { return ops::compare(a, b, "lt"); });
}
Tensor operator<=(const Operand& x, const Operand& y) {
  return binary(x, y, [](const Value& a, const Value& b) { return ops::compare(a, b, "le"); });
}
Tensor operator>(const Operand& x, const Operand& y) {
  return binary(x, y, [](const Value& a, const Value& b) { return ops::compare(a, b, "gt"); });
}
Tensor operator>=(const Operand& x, const Operand& y) {
  return binary(x, y, [](const Value& a, const Value& b) { return ops::compare(a, b, "ge"); });
}

Tensor tensor(std::initializer_list<float> values) {
  return Tensor(
      Literal::from(std::span<const float>(values.begin(), values.size()), Shape{static_cast<int64_t>(values.size())}));
}

// --- randomness ---------------------------------------------------------------------------------------------------

namespace {

struct Generator {
  std::mutex mutex;
  Tensor state;
  static Generator& instance() {
    static Generator generator;
    return generator;
  }
};

Literal key_literal(const std::array<uint32_t, 4>& words) {
  return Literal::from(std::span<const uint32_t>(words), Shape{4});
}

}  // namespace

void seed(uint64_t value) {
  Generator& generator = Generator::instance();
  const std::lock_guard lock(generator.mutex);
  const Literal key = key_literal({static_cast<uint32_t>(value), static_cast<uint32_t>(value >> 32), 0, 0});
  if (generator.state) generator.state.assign(Tensor(key));
  else generator.state = Tensor(key);
}

Tensor generator_state() {
  Generator& generator = Generator::instance();
  {
    const std::lock_guard lock(generator.mutex);
    if (generator.state) return generator.state;
  }
  seed(0);
  return generator.state;
}

// The first block of the state's stream gives the key drawn, the second the next state.
Tensor next_key() {
  Tensor state = generator_state();
  const Value words = ops::rng_bits(state.value(), {8});
  state.assign(Tensor(ops::slice(words, {4}, {8}, {1})));
  const Tensor key(ops::slice(words, {0}, {4}, {1}));
  if (!is_tracing()) eval({state, key});  // keeps the chain of states short
  return key;
}

}  // namespace trireme
