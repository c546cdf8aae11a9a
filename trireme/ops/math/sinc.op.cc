#include "trireme/ops/declare.h"

namespace trireme {

OpDecl sinc_decl{
    .name = "sinc",
    .doc = "Normalised sinc, y = sin(pi x) / (pi x), 1 at 0.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value zero = ops::compare(d.x(0), 0.0, "eq");
      const Value angle = ops::select(zero, 1.0, d.x(0)) * std::numbers::pi;
      return ops::select(zero, ops::filled_like(angle, 1.0), ops::sin(angle) / angle);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
