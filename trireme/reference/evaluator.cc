#include "trireme/reference/evaluator.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <unordered_map>

#include "trireme/base/strings.h"
#include "trireme/core/philox.h"
#include "trireme/ir/op_decl.h"

namespace trireme::reference {

Evaluated to_evaluated(const Literal& literal) {
  Evaluated out({literal.dtype(), literal.shape()});
  if (out.floating()) convert_elements(literal.dtype(), literal.data(), f64, out.real.data(), out.elements());
  else convert_elements(literal.dtype(), literal.data(), i64, out.integer.data(), out.elements());
  return out;
}

Literal to_literal(const Evaluated& value) {
  Literal out = Literal::zeros(value.type.dtype, value.shape());
  if (value.floating()) {
    convert_elements(f64, value.real.data(), value.type.dtype, out.mutable_data(), value.elements());
  } else {
    convert_elements(i64, value.integer.data(), value.type.dtype, out.mutable_data(), value.elements());
  }
  return out;
}

namespace {

std::vector<Evaluated> run_graph(const Graph& graph, std::span<const Evaluated> inputs, uint64_t perturbation,
                                 bool rounded, uint32_t fixed_point_bits = 0);

class Run {
 public:
  Run(uint64_t perturbation, bool rounded, uint32_t fixed_point_bits)
      : perturbation_(perturbation), rounded_(rounded), fixed_point_bits_(fixed_point_bits) {}

  void bind(const Value& parameter, Evaluated value) {
    results_[&parameter.node()] = {std::make_shared<const Evaluated>(std::move(value))};
  }

  const Evaluated& get(const Value& value) {
    evaluate(value);
    return *results_.at(&value.node())[value.index()];
  }

 private:
  using Results = std::vector<std::shared_ptr<const Evaluated>>;

  // Depth first with an explicit stack: decompositions of deep graphs would overflow the call stack.
  void evaluate(const Value& wanted) {
    std::vector<Value> stack{wanted};
    while (!stack.empty()) {
      const Value value = stack.back();
      const Node& node = value.node();
      if (results_.contains(&node)) {
        stack.pop_back();
        continue;
      }
      const bool by_parts = node.op().meaning.truth == nullptr;
      if (by_parts && !bodies_.contains(&node)) bodies_[&node] = decomposition_of(node);
      const std::vector<Value>& needed = by_parts ? bodies_.at(&node) : node.inputs();
      bool ready = true;
      for (const Value& v : needed) {
        if (v && !results_.contains(&v.node())) {
          stack.push_back(v);
          ready = false;
        }
      }
      if (!ready) continue;
      stack.pop_back();
      Results results;
      if (by_parts) {
        for (const Value& v : needed) results.push_back(results_.at(&v.node())[v.index()]);
        kept_.push_back(value);  // keeps the addresses of the body's nodes ours
      } else {
        results = apply(node);
      }
      results_[&node] = std::move(results);
    }
  }

  Results apply(const Node& node) {
    if (node.op().kind.value == Kind::kControl) return control(node);
    TRIREME_CHECK(!node.is("parameter"), "a parameter of the graph is not bound");
    const Accuracy accuracy = node.op().accuracy;
    std::vector<std::shared_ptr<const Evaluated>> held;
    std::vector<const Evaluated*> inputs;
    for (const Value& v : node.inputs()) {
      held.push_back(v ? results_.at(&v.node())[v.index()] : nullptr);
      if (perturbation_ != 0 && accuracy.accumulates && held.back() && held.back()->floating()) {
        auto changed = std::make_shared<Evaluated>(*held.back());
        perturb(*changed, 1.0);
        if (fixed_point_bits_ != 0 && node.op().kind.value == Kind::kContraction) perturb_fixed(*changed);
        held.back() = std::move(changed);
      }
      inputs.push_back(held.back().get());
    }
    std::vector<Evaluated> outputs;
    for (const TensorType& type : node.outputs()) outputs.emplace_back(type);
    Evaluation evaluation(node.op(), node.attributes(), inputs, outputs);
    node.op().meaning.truth(evaluation);
    Results results;
    for (Evaluated& output : outputs) {
      if (perturbation_ != 0 && accuracy.ulp > 0 && output.floating()) perturb(output, accuracy.ulp);
      if (rounded_) output.round();
      results.push_back(std::make_shared<const Evaluated>(std::move(output)));
    }
    return results;
  }

  Results control(const Node& node) {
    const AttributeReader attributes(node.op(), node.attributes());
    std::vector<Evaluated> state;
    const bool conditional = node.is("cond");
    for (size_t i = conditional ? 1 : 0; i < node.inputs().size(); ++i) state.push_back(get(node.inputs()[i]));
    if (conditional) {
      const bool taken = get(node.inputs()[0]).integer[0] != 0;
      state = call(attributes.graph(taken ? "then_graph" : "else_graph"), state);
    } else {
      while (call(attributes.graph("condition"), state)[0].integer[0] != 0) {
        state = call(attributes.graph("body"), state);
      }
    }
    Results results;
    for (Evaluated& value : state) results.push_back(std::make_shared<const Evaluated>(std::move(value)));
    return results;
  }

  std::vector<Evaluated> call(const Graph& graph, const std::vector<Evaluated>& inputs) {
    return run_graph(graph, inputs, perturbation_ == 0 ? 0 : perturbation_ + ++calls_, rounded_, fixed_point_bits_);
  }

  // x (1 + d u) with d uniform in [-ulp, ulp] and u the roundoff of the type.
  void perturb(Evaluated& x, double ulp) {
    // In double the evaluation itself rounds as coarsely as the chip; a disturbance of that size would often vanish.
    const double size = ulp * unit_roundoff(x.type.dtype) * (x.type.dtype == f64 ? 4.0 : 1.0);
    for (double& v : x.real) v *= 1.0 + size * draw();
  }
  // x + d s with d uniform in [-1/2, 1/2] and s the step of fixed point: the largest magnitude over 2^(bits-1) - 1.
  void perturb_fixed(Evaluated& x) {
    double largest = 0.0;
    for (const double v : x.real) {
      if (std::isfinite(v)) largest = std::max(largest, std::fabs(v));
    }
    const double half_step = 0.5 * largest / (std::ldexp(1.0, static_cast<int>(fixed_point_bits_) - 1) - 1.0);
    for (double& v : x.real) v += half_step * draw();
  }
  // Uniform in [-1, 1).
  double draw() {
    const uint32_t word =
        philox_word({static_cast<uint32_t>(perturbation_), static_cast<uint32_t>(perturbation_ >> 32), 0, 0}, draws_++);
    return static_cast<double>(word) * 0x1p-31 - 1.0;
  }

  uint64_t perturbation_;
  bool rounded_;
  uint32_t fixed_point_bits_;
  uint64_t draws_ = 0, calls_ = 0;
  std::unordered_map<const Node*, Results> results_;
  std::unordered_map<const Node*, Values> bodies_;
  std::vector<Value> kept_;
};

std::vector<Evaluated> run_graph(const Graph& graph, std::span<const Evaluated> inputs, uint64_t perturbation,
                                 bool rounded, uint32_t fixed_point_bits) {
  TRIREME_CHECK(inputs.size() == graph.inputs().size(),
                cat("the graph has ", graph.inputs().size(), " inputs; given ", inputs.size()));
  Run run(perturbation, rounded, fixed_point_bits);
  for (size_t i = 0; i < inputs.size(); ++i) {
    TRIREME_CHECK(inputs[i].type == graph.inputs()[i].type(),
                  cat("input ", i, " is ", inputs[i].type, ", expected ", graph.inputs()[i].type()));
    run.bind(graph.inputs()[i], inputs[i]);
  }
  std::vector<Evaluated> outputs;
  for (const Value& v : graph.outputs()) outputs.push_back(run.get(v));
  return outputs;
}

}  // namespace

std::vector<Evaluated> evaluate_unrounded(const Graph& graph, std::span<const Evaluated> inputs, uint64_t perturbation,
                                          uint32_t fixed_point_bits) {
  return run_graph(graph, inputs, perturbation, false, fixed_point_bits);
}

std::vector<Evaluated> evaluate_rounded(const Graph& graph, std::span<const Evaluated> inputs) {
  return run_graph(graph, inputs, 0, true);
}

std::vector<Literal> evaluate(const Graph& graph, std::span<const Literal> inputs) {
  std::vector<Evaluated> values;
  for (const Literal& literal : inputs) values.push_back(to_evaluated(literal));
  std::vector<Literal> outputs;
  for (const Evaluated& value : evaluate_unrounded(graph, values)) outputs.push_back(to_literal(value));
  return outputs;
}

bool can_evaluate(const Graph& graph) {
  for (const Node* node : graph.nodes()) {
    if (node->is("parameter")) continue;
    if (node->op().meaning.truth == nullptr && node->op().meaning.decompose == nullptr) return false;
  }
  return true;
}

}  // namespace trireme::reference
