#include "trireme/ops/control/segment_rules.h"
#include "trireme/ops/declare.h"

namespace trireme {

OpDecl segment_decl{
    .name = "segment",
    .doc =
        "body(operands), whose inner values are not kept for the gradient: `backward` computes them again. Written by "
        "checkpointed(f); taken apart by the pass recompute.",
    .tier = Tier::kComposite,
    .kind = Kind::kControl,
    .inputs = {{"operands", any_dtype, {}, Arity::kVariadic}},
    .outputs = {"results..."},
    .attributes = {{"body", required_graph, "operands to results"},
                   {"backward", required_graph,
                    "operands and a gradient for each floating result to a gradient for each floating operand"},
                   {"arguments", required_int, "how many operands, from the first, the inner values depend on"}},
    .coerce = Coerce::kNone,
    .rules = {"body takes the operands' types and gives at least one result",
              "backward takes the operands and a gradient per floating result, and gives one per floating operand",
              "arguments is at least 0 and at most the number of operands"},
    .infer =
        [](Infer& i) {
          const Graph &body = i.graph("body"), &backward = i.graph("backward");
          i.require(1, takes_operands(body, i) && !body.outputs().empty());
          i.require(2, backward.inputs().size() == body.inputs().size() + count_floats(body.outputs()) &&
                           backward.outputs().size() == count_floats(body.inputs()));
          i.require(3, i.integer("arguments") >= 0 && i.integer("arguments") <= i.inputs());
          for (const Value& v : body.outputs()) i.output(v.dtype(), v.shape());
        },
    .gradient = pullback([](Pullback& p) {
      const Node& node = p.node();
      std::vector<Value> operands = node.inputs();
      for (size_t k = 0; k < node.outputs().size(); ++k) {
        if (is_float(node.outputs()[k].dtype)) operands.push_back(p.dy(static_cast<int>(k)));
      }
      const auto results = static_cast<int64_t>(operands.size() - node.inputs().size());
      const Values dx = ops::segment_gradient(operands, p.graph("backward"), p.integer("arguments"), results);
      size_t next = 0;
      for (int k = 0; k < p.inputs(); ++k) {
        if (is_float(p.x(k).dtype())) p.dx(k) = dx[next++];
      }
    }),
    .meaning = decompose([](const Decompose& d) { return inline_graph(d.graph("body"), d.node().inputs()); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {},
    .rejects = {},
};

}  // namespace trireme
