// Compiled functions: traced once per signature, planned once, then run.
#include <algorithm>
#include <map>
#include <mutex>
#include <unordered_map>

#include "trireme/base/strings.h"
#include "trireme/passes/autocast.h"
#include "trireme/passes/pass.h"
#include "trireme/passes/recompute.h"
#include "trireme/runtime/plan_cache.h"
#include "trireme/tensor/state.h"
#include "trireme/tensor/tensor.h"

namespace trireme {

namespace {

struct TraceInProgress {
  uint64_t id = 0;
  // Variables from outside that were assigned, in order, with the value they had before.
  std::vector<std::pair<std::shared_ptr<Tensor::State>, Value>> assigned;
};

thread_local TraceInProgress* tracing_now = nullptr;

uint64_t next_trace_id() {
  static std::atomic<uint64_t> next{1};
  return next.fetch_add(1);
}

}  // namespace

namespace detail {

uint64_t current_trace() { return tracing_now != nullptr ? tracing_now->id : 0; }

void note_assignment(const std::shared_ptr<Tensor::State>& state, const Value& before) {
  if (state->trace == tracing_now->id || assigned_in_trace(state)) return;  // the body's own, or noted already
  tracing_now->assigned.emplace_back(state, before);
}

bool assigned_in_trace(const std::shared_ptr<Tensor::State>& state) {
  return tracing_now != nullptr && std::any_of(tracing_now->assigned.begin(), tracing_now->assigned.end(),
                                               [&](const auto& each) { return each.first == state; });
}

std::vector<std::shared_ptr<Tensor::State>> assigned_variables() {
  std::vector<std::shared_ptr<Tensor::State>> out;
  for (const auto& [state, before] : tracing_now->assigned) out.push_back(state);
  return out;
}

}  // namespace detail

bool is_tracing() { return tracing_now != nullptr; }

struct Compiled::Impl {
  // An input of the plan that is not an argument: a variable read at each call, or bytes that never change.
  struct Captured {
    std::shared_ptr<Tensor::State> variable;
    runtime::BufferRef fixed;
  };
  struct Trace {
    std::vector<std::shared_ptr<Tensor::State>> assigned;
    std::vector<Captured> captured;
    std::vector<int> donated;  // per input
    size_t results = 0;
    Graph graph;
    std::map<std::vector<runtime::Device*>, std::shared_ptr<runtime::Plan>> plans;  // by where the inputs live
  };

  Body body;
  CompileOptions options;
  std::mutex mutex;
  std::map<std::string, Trace> traces;
  std::shared_ptr<runtime::Plan> last;
  const Graph* last_graph = nullptr;

  Impl(Body b, const CompileOptions& o) : body(std::move(b)), options(o) {}
  Trace trace(const std::vector<Tensor>& arguments);
  std::vector<Tensor> call(const std::vector<Tensor>& arguments);
};

Compiled::Impl::Trace Compiled::Impl::trace(const std::vector<Tensor>& arguments) {
  TraceInProgress progress;
  progress.id = next_trace_id();
  std::vector<Value> parameters, outputs;
  Trace out;
  struct Scope {
    explicit Scope(TraceInProgress* p) : progress(p) { tracing_now = p; }
    ~Scope() {  // variables keep the values they had before the trace
      tracing_now = nullptr;
      for (auto& [state, before] : progress->assigned) state->value = before;
    }
    TraceInProgress* progress;
  };
  {
    const Scope scope(&progress);
    std::vector<Tensor> inside;
    for (const Tensor& t : arguments) {
      parameters.push_back(parameter(t.dtype(), t.shape()));
      inside.emplace_back(parameters.back());
    }
    const std::vector<Tensor> results = body(inside);
    for (const Tensor& t : results) {
      if (!t) throw Error(Code::kInvalidArgument, "a compiled function returned an empty tensor");
      outputs.push_back(t.value());
    }
    out.results = results.size();
    for (const auto& [state, before] : progress.assigned) {
      outputs.push_back(state->value);
      out.assigned.push_back(state);
    }
  }
  const auto pending = detail::pending_graph(outputs, parameters);
  out.graph = passes::recompute(pending.graph);
  if (options.autocast != f32) {
    out.graph = passes::apply("autocast", out.graph,
                              [&](const Graph& graph) { return passes::autocast(graph, options.autocast); });
  }
  out.donated.assign(parameters.size(), -1);
  for (size_t i = 0; i < pending.leaves.size(); ++i) {
    const auto held = std::static_pointer_cast<detail::Attachment>(pending.leaves[i].node().attachment());
    auto owner = held ? held->owner.lock() : nullptr;
    if (owner && !(owner->value == pending.leaves[i])) owner = nullptr;  // an earlier value, kept by somebody else
    const auto assigned = std::find(out.assigned.begin(), out.assigned.end(), owner);
    const bool replaced = owner != nullptr && assigned != out.assigned.end();
    out.donated.push_back(
        replaced ? static_cast<int>(out.results + static_cast<size_t>(assigned - out.assigned.begin())) : -1);
    out.captured.push_back({owner, owner ? nullptr : pending.inputs[i]});
  }
  return out;
}

std::vector<Tensor> Compiled::Impl::call(const std::vector<Tensor>& arguments) {
  if (is_tracing()) return body(arguments);  // part of the outer function
  const std::lock_guard lock(mutex);
  runtime::Device& target = detail::target_device();
  std::string signature = target.name();
  for (const Tensor& t : arguments) {
    if (!t) throw Error(Code::kInvalidArgument, "an empty tensor was given to a compiled function");
    append(signature, cat(" ", t.value().type()));
  }
  auto at = traces.find(signature);
  if (at == traces.end()) at = traces.emplace(signature, trace(arguments)).first;
  Trace& known = at->second;
  std::vector<runtime::BufferRef> inputs;
  for (const Tensor& t : arguments) inputs.push_back(detail::ready_buffer(t.state()));
  for (size_t i = 0; i < known.captured.size(); ++i) {
    const Captured& captured = known.captured[i];
    if (!captured.variable) {
      inputs.push_back(captured.fixed);
      continue;
    }
    auto buffer = detail::ready_buffer(captured.variable);
    // In-place updates need the bytes for themselves: nobody else may hold the leaf (1 value) or the buffer (the leaf's
    // own reference and ours).
    const bool shared = captured.variable->value.node().references() > 1 || buffer.use_count() > 2;
    if (known.donated[arguments.size() + i] >= 0 && shared) buffer = buffer->copy();
    inputs.push_back(std::move(buffer));
  }
  std::vector<runtime::Device*> places;
  for (const auto& buffer : inputs) places.push_back(&buffer->device);
  auto& plan = known.plans[places];
  if (!plan || plan->stale()) {
    runtime::PlanOptions options;
    options.target = &target;
    options.fallback = detail::fallback_mode();
    options.input_devices = places;
    options.donated = known.donated;
    plan = runtime::plan_for(known.graph, options);
  }
  last = plan;
  last_graph = &known.graph;
  const auto buffers = plan->run(inputs);
  inputs.clear();
  std::vector<Tensor> results;
  for (size_t k = 0; k < known.results; ++k) {
    auto state = std::make_shared<Tensor::State>();
    detail::set_leaf(state, buffers[k]);
    results.emplace_back(std::move(state));
  }
  for (size_t k = 0; k < known.assigned.size(); ++k) {
    detail::set_leaf(known.assigned[k], buffers[known.results + k]);
  }
  return results;
}

Compiled::Compiled(Body body, const CompileOptions& options)
    : impl_(std::make_shared<Impl>(std::move(body), options)) {}

std::vector<Tensor> Compiled::operator()(const std::vector<Tensor>& arguments) const { return impl_->call(arguments); }

int Compiled::traces() const { return static_cast<int>(impl_->traces.size()); }

const runtime::Ledger& Compiled::ledger() const {
  if (!impl_->last) throw Error(Code::kInvalidArgument, "a compiled function has a ledger only after its first call");
  return impl_->last->ledger();
}

const Graph& Compiled::graph() const {
  if (impl_->last_graph == nullptr) {
    throw Error(Code::kInvalidArgument, "a compiled function has a graph only after its first call");
  }
  return *impl_->last_graph;
}

}  // namespace trireme
