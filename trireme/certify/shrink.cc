#include "trireme/certify/shrink.h"

#include <algorithm>

#include "trireme/base/error.h"
#include "trireme/ir/op_decl.h"
#include "trireme/reference/evaluator.h"

namespace trireme::certify {
namespace {

// The program without inputs that nothing reads any more.
Program pruned(const std::vector<Value>& parameters, const std::vector<Literal>& values,
               const std::vector<Value>& outputs) {
  const auto reached = nodes_between({}, outputs);
  Program out;
  std::vector<Value> kept;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (std::find(reached.begin(), reached.end(), &parameters[i].node()) == reached.end()) continue;
    kept.push_back(parameters[i]);
    out.inputs.push_back(values[i]);
  }
  out.graph = Graph(kept, outputs);
  return out;
}

// Each program that is one step smaller.
std::vector<Program> smaller(const Program& program) {
  std::vector<Program> out;
  const Graph& graph = program.graph;
  const auto is_source = [](const Node& node) { return node.op().kind.value == Kind::kSource; };
  for (const Node* node : graph.nodes()) {
    if (is_source(*node)) continue;
    const Value first(*node);
    // This node as the end.
    const bool already = graph.outputs().size() == 1 && graph.outputs()[0] == first;
    if (!already) out.push_back(pruned(graph.inputs(), program.inputs, {first}));
    if (already || node->outputs().size() != 1) continue;
    // This node as a beginning.
    const Value fresh = parameter(first.dtype(), first.shape());
    Rewriter rewrite;
    rewrite.replace(first, fresh);
    std::vector<Value> outputs;
    for (const Value& v : graph.outputs()) outputs.push_back(rewrite(v));
    std::vector<Value> parameters = graph.inputs();
    std::vector<Literal> values = program.inputs;
    parameters.push_back(fresh);
    values.push_back(reference::evaluate(Graph(graph.inputs(), {first}), program.inputs)[0]);
    out.push_back(pruned(parameters, values, outputs));
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Program& a, const Program& b) { return a.graph.nodes().size() < b.graph.nodes().size(); });
  std::erase_if(out, [&](const Program& p) { return p.graph.nodes().size() >= graph.nodes().size(); });
  return out;
}

}  // namespace

Program shrink(Program program, const Fails& fails, int tries) {
  for (bool better = true; better;) {
    better = false;
    for (Program& candidate : smaller(program)) {
      if (tries-- <= 0) return program;
      if (!fails(candidate)) continue;
      program = std::move(candidate);
      better = true;
      break;
    }
  }
  return program;
}

}  // namespace trireme::certify
