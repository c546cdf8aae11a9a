#include "trireme/ops/declare.h"

namespace trireme {

OpDecl celu_decl{
    .name = "celu",
    .doc =
        "Continuously differentiable exponential linear unit, y = x for x > 0, else alpha (e^(x/alpha) - "
        "1).",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"alpha", 1.0, "minus the limit at -inf; above 0"}},
    .coerce = Coerce::kNone,
    .rules = {"alpha is above 0"},
    .infer =
        [](Infer& i) {
          i.require(1, i.number("alpha") > 0);
          infer_same(i);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value positive = ops::compare(d.x(0), 0.0, "gt");
      const Value low = ops::select(positive, 0.0, d.x(0));  // as in elu: keeps e^x finite where it is not used
      return ops::select(positive, d.x(0), ops::expm1(low / d.number("alpha")) * d.number("alpha"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]", "[9] alpha=0.5"},
    .rejects = {"1: [3] alpha=0.0"},
};

}  // namespace trireme
