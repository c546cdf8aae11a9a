#include "trireme/ops/declare.h"

namespace trireme {

OpDecl xlogy_decl{
    .name = "xlogy",
    .doc = "x log(w), and 0 where x is 0 whatever w is.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}, {"w", same_as_first, {0.1, 3}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kBroadcast,
    .rules = {kEqualShapes},
    .infer = infer_same,
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      // The logarithm of 1 stands in where x is 0, so that neither value nor gradient is 0 inf.
      const Value zero = ops::compare(d.x(0), 0.0, "eq");
      return d.x(0) * ops::log(ops::select(zero, 1.0, d.x(1)));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3]", "[] []", "[0,4] [0,4]", "[17] [17]"},
    .rejects = {"1: [2,3] [3,2]"},
};

}  // namespace trireme
