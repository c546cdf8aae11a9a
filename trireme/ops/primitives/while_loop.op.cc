#include "trireme/ops/declare.h"

namespace trireme {

namespace {
bool takes_state(const Graph& graph, const Infer& i) {
  if (static_cast<int>(graph.inputs().size()) != i.inputs()) return false;
  for (int k = 0; k < i.inputs(); ++k) {
    const TensorType& type = graph.inputs()[static_cast<size_t>(k)].type();
    if (type.dtype != i.dtype(k) || !(type.shape == i.shape(k))) return false;
  }
  return true;
}
}  // namespace

OpDecl while_loop_decl{
    .name = "while_loop",
    .doc = "Repeats state = body(state) as long as condition(state) is true; gives the last state.",
    .tier = Tier::kHost,
    .kind = Kind::kControl,
    .inputs = {{"state", any_dtype, {}, Arity::kVariadic}},
    .outputs = {"results..."},
    .attributes = {{"condition", required_graph, "from the state to one bool scalar"},
                   {"body", required_graph, "from the state to the next state"}},
    .coerce = Coerce::kNone,
    .rules = {"both graphs take the state's types", "condition gives one bool scalar", "body gives the state's types"},
    .infer =
        [](Infer& i) {
          const Graph &condition = i.graph("condition"), &body = i.graph("body");
          i.require(1, takes_state(condition, i) && takes_state(body, i));
          i.require(2, condition.outputs().size() == 1 && condition.outputs()[0].type() == TensorType{boolean, {}});
          i.require(3, body.outputs().size() == body.inputs().size());
          for (int k = 0; k < i.inputs(); ++k) {
            i.require(3, body.outputs()[static_cast<size_t>(k)].type() == body.inputs()[static_cast<size_t>(k)].type());
            i.output(i.dtype(k), i.shape(k));
          }
        },
    .gradient = none("the number of rounds is known only when running; write the loop in C++ where it is fixed"),
    .meaning = evaluate([](Evaluation&) {
      throw Error(Code::kInternal, "a loop is run by whoever runs the graph, never evaluated as one operation");
    }),
    .accuracy = by_decomposition,
    .cost = no_flops,
    .cases = {},
    .rejects = {},
};

}  // namespace trireme
