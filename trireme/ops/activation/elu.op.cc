#include "trireme/ops/declare.h"

namespace trireme {

OpDecl elu_decl{
    .name = "elu",
    .doc = "Exponential linear unit, y = x for x > 0, else alpha (e^x - 1).",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"alpha", 1.0, "minus the limit at -inf"}},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value positive = ops::compare(d.x(0), 0.0, "gt");
      // The branch not taken sees 0: e^x of a large x would be inf, and its gradient 0 inf.
      const Value low = ops::select(positive, 0.0, d.x(0));
      return ops::select(positive, d.x(0), ops::expm1(low) * d.number("alpha"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]", "[9] alpha=0.5"},
    .rejects = {},
};

}  // namespace trireme
