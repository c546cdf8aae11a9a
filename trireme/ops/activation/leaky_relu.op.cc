#include "trireme/ops/declare.h"

namespace trireme {

OpDecl leaky_relu_decl{
    .name = "leaky_relu",
    .doc = "Rectifier that leaks, y = x for x > 0, else slope x.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"slope", 0.01, "factor of negative elements"}},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      return ops::select(ops::compare(d.x(0), 0.0, "gt"), d.x(0), d.x(0) * d.number("slope"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]", "[9] slope=0.2"},
    .rejects = {},
};

}  // namespace trireme
