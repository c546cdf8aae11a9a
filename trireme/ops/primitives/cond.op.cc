#include "trireme/ops/declare.h"

namespace trireme {

namespace {
bool takes(const Graph& graph, const Infer& i) {
  if (static_cast<int>(graph.inputs().size()) != i.inputs() - 1) return false;
  for (int k = 1; k < i.inputs(); ++k) {
    const TensorType& type = graph.inputs()[static_cast<size_t>(k - 1)].type();
    if (type.dtype != i.dtype(k) || !(type.shape == i.shape(k))) return false;
  }
  return true;
}
}  // namespace

OpDecl cond_decl{
    .name = "cond",
    .doc =
        "The results of then_graph(operands) where the condition is true, else of else_graph(operands). Only one runs.",
    .tier = Tier::kHost,
    .kind = Kind::kControl,
    .inputs = {{"condition", bools}, {"operands", any_dtype, {}, Arity::kVariadic}},
    .outputs = {"results..."},
    .attributes = {{"then_graph", required_graph, "taken when the condition is true"},
                   {"else_graph", required_graph, "taken when it is false"}},
    .coerce = Coerce::kNone,
    .rules = {"condition is a scalar", "both graphs take the operands' types",
              "both graphs give the same types, at least one"},
    .infer =
        [](Infer& i) {
          const Graph &yes = i.graph("then_graph"), &no = i.graph("else_graph");
          i.require(1, i.rank(0) == 0);
          i.require(2, takes(yes, i) && takes(no, i));
          i.require(3, !yes.outputs().empty() && yes.outputs().size() == no.outputs().size());
          for (size_t k = 0; k < yes.outputs().size(); ++k) {
            i.require(3, yes.outputs()[k].type() == no.outputs()[k].type());
            i.output(yes.outputs()[k].dtype(), yes.outputs()[k].shape());
          }
        },
    .gradient = gradient_of_decomposition,
    // Both branches are pure, so computing both and choosing is the same; only slower.
    .meaning = decompose([](const Decompose& d) -> Values {
      const std::vector<Value> operands(d.node().inputs().begin() + 1, d.node().inputs().end());
      const Values yes = inline_graph(d.graph("then_graph"), operands);
      const Values no = inline_graph(d.graph("else_graph"), operands);
      Values results;
      for (size_t k = 0; k < yes.size(); ++k) results.push_back(ops::select(d.x(0), yes[k], no[k]));
      return results;
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {},
    .rejects = {},
};

}  // namespace trireme
