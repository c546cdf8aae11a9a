// If and Loop. Their graphs may use every value around them, so that operands need no passing.
#include "trireme/formats/onnx/emit.h"
#include "trireme/ir/graph.h"

namespace trireme::formats::onnx {

namespace {

std::vector<TensorType> types_of(const std::vector<Value>& values) {
  std::vector<TensorType> out;
  for (const Value& v : values) out.push_back(v.type());
  return out;
}

bool cond(Emit& e) {
  Names operands;
  for (int i = 1; i < e.inputs(); ++i) operands.push_back(e.in(i));
  const auto branch = [&](const char* theirs, const Graph& graph) {
    return Emit::Branch{theirs, {}, types_of(graph.outputs()), [&graph, operands](Emit& inner) {
                          return inner.inlined(graph, operands);
                        }};
  };
  const Graph &yes = e.graph("then_graph"), &no = e.graph("else_graph");
  const Emit::Branch branches[] = {branch("then_branch", yes), branch("else_branch", no)};
  const Names results = e.add_with_branches("If", {e.in(0)}, branches, yes.outputs().size());
  for (size_t k = 0; k < results.size(); ++k) e.give(results[k], static_cast<int>(k));
  return true;
}

// Loop asks for the condition before the first round; its body computes the state and then the condition for the next.
bool while_loop(Emit& e) {
  const Graph &condition = e.graph("condition"), &body = e.graph("body");
  Names state;
  for (int i = 0; i < e.inputs(); ++i) state.push_back(e.in(i));
  Emit::Branch round{"body", {{e.fresh_name(), {i64, {}}}, {e.fresh_name(), {boolean, {}}}}, {{boolean, {}}}, {}};
  Names held;
  for (int i = 0; i < e.inputs(); ++i) {
    held.push_back(e.fresh_name());
    round.inputs.emplace_back(held.back(), e.x(i).type());
    round.outputs.push_back(e.x(i).type());
  }
  round.write = [&](Emit& inner) {
    const Names next = inner.inlined(body, held);
    Names out = inner.inlined(condition, next);
    out.insert(out.end(), next.begin(), next.end());
    return out;
  };
  Names operands = {"", e.inlined(condition, state)[0]};
  operands.insert(operands.end(), state.begin(), state.end());
  const Names results = e.add_with_branches("Loop", operands, {&round, 1}, state.size());
  for (size_t k = 0; k < results.size(); ++k) e.give(results[k], static_cast<int>(k));
  return true;
}

}  // namespace

std::span<const ExportRule> control_export_rules() {
  static const ExportRule rules[] = {{"cond", {}, any_dtype, cond}, {"while_loop", {}, any_dtype, while_loop}};
  return rules;
}

}  // namespace trireme::formats::onnx
