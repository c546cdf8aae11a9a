// checkpointed(f): what f computes inside a compiled function becomes one node, a segment, with its gradient ready.
#include <algorithm>
#include <unordered_map>

#include "trireme/base/error.h"
#include "trireme/ops/ops.h"
#include "trireme/passes/gradient.h"
#include "trireme/tensor/state.h"
#include "trireme/tensor/tensor.h"

namespace trireme::detail {

namespace {

// The values below `outputs` that depend on the arguments, and what they take from outside.
class Cut {
 public:
  Cut(const std::vector<Value>& arguments, const std::vector<Value>& outputs) {
    for (const Value& v : arguments) places_[&v.node()] = Place::kInside;
    for (const Node* node : Graph({}, outputs).nodes()) {
      Place place = node->is("parameter") ? Place::kOutside : Place::kAnywhere;
      for (const Value& v : node->inputs()) place = v ? std::max(place, places_.at(&v.node())) : place;
      places_.try_emplace(node, place);
      if (!inside(node)) continue;
      for (const Value& v : node->inputs()) {
        const bool from_outside = v && places_.at(&v.node()) == Place::kOutside;
        if (from_outside && std::find(taken_.begin(), taken_.end(), v) == taken_.end()) taken_.push_back(v);
      }
    }
  }

  bool inside(const Node* node) const { return places_.at(node) == Place::kInside; }
  bool inside(const Value& v) const { return inside(&v.node()); }
  const std::vector<Value>& taken() const { return taken_; }

 private:
  enum class Place : uint8_t { kAnywhere, kOutside, kInside };  // of constants alone; of other values; of arguments
  std::unordered_map<const Node*, Place> places_;
  std::vector<Value> taken_;
};

std::vector<Value> floats_of(const std::vector<Value>& values) {
  std::vector<Value> out;
  std::copy_if(values.begin(), values.end(), std::back_inserter(out),
               [](const Value& v) { return is_float(v.dtype()); });
  return out;
}

}  // namespace

std::vector<Tensor> run_segment(const Compiled::Body& body, const std::vector<Tensor>& arguments) {
  if (!is_tracing()) return body(arguments);
  for (const Tensor& t : arguments) {
    if (!t) throw Error(Code::kInvalidArgument, "an empty tensor was given to a checkpointed function");
  }
  std::vector<Value> operands = values_of(arguments), inputs;
  for (const Value& v : operands) inputs.push_back(parameter(v.dtype(), v.shape()));
  std::vector<Tensor> results = body(tensors_of(inputs));
  const auto assigned = assigned_variables();
  std::vector<Value> all = values_of(results);
  for (const auto& state : assigned) all.push_back(state->value);
  const Cut cut(inputs, all);
  std::vector<Value> outputs;
  std::copy_if(all.begin(), all.end(), std::back_inserter(outputs), [&](const Value& v) { return cut.inside(v); });
  if (outputs.empty()) return results;

  const SourceScope source(outputs[0].node().source());
  Rewriter lift;
  for (const Value& v : cut.taken()) {
    operands.push_back(v);
    inputs.push_back(parameter(v.dtype(), v.shape()));
    lift.replace(v, inputs.back());
  }
  std::vector<Value> inner;
  for (const Value& v : outputs) inner.push_back(lift(v));
  std::vector<Value> dy, backward_inputs = inputs;
  for (const Value& v : floats_of(inner)) dy.push_back(parameter(v.dtype(), v.shape()));
  backward_inputs.insert(backward_inputs.end(), dy.begin(), dy.end());
  const Graph backward(backward_inputs, passes::gradient(floats_of(inner), floats_of(inputs), dy));
  const Values made = ops::segment(operands, Graph(inputs, inner), backward, static_cast<int64_t>(arguments.size()));

  size_t next = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    if (!cut.inside(all[i])) continue;
    if (i < results.size()) results[i] = Tensor(made[next++]);
    else assigned[i - results.size()]->value = made[next++];
  }
  return results;
}

}  // namespace trireme::detail
