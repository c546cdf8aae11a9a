#include "trireme/ops/declare.h"

namespace trireme {

OpDecl trunc_decl{
    .name = "trunc",
    .doc = "Rounds toward 0 to a whole number.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback(ops::zero_gradient),
    .meaning = decompose([](const Decompose& d) -> Values {
      return ops::select(ops::compare(d.x(0), 0.0, "lt"), ops::ceil(d.x(0)), ops::floor(d.x(0)));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
