#include "trireme/ops/control/segment_rules.h"
#include "trireme/ops/declare.h"

namespace trireme {

OpDecl segment_gradient_decl{
    .name = "segment_gradient",
    .doc = "backward(operands): the gradient of a segment, which computes the segment's inner values again.",
    .tier = Tier::kComposite,
    .kind = Kind::kControl,
    .inputs = {{"operands", any_dtype, {}, Arity::kVariadic}},
    .outputs = {"gradients..."},
    .attributes = {{"backward", required_graph, "operands to gradients"},
                   {"arguments", required_int, "how many operands, from the first, the inner values depend on"},
                   {"results", required_int, "how many operands, up to the last, are gradients of results"}},
    .coerce = Coerce::kNone,
    .rules = {"backward takes the operands' types and gives at least one gradient",
              "arguments and results are at least 0 and together at most the number of operands"},
    .infer =
        [](Infer& i) {
          const Graph& backward = i.graph("backward");
          i.require(1, takes_operands(backward, i) && !backward.outputs().empty());
          const int64_t arguments = i.integer("arguments"), results = i.integer("results");
          i.require(2, arguments >= 0 && arguments <= i.inputs() && results >= 0 && results <= i.inputs() - arguments);
          for (const Value& v : backward.outputs()) i.output(v.dtype(), v.shape());
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) { return inline_graph(d.graph("backward"), d.node().inputs()); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {},
    .rejects = {},
};

}  // namespace trireme
