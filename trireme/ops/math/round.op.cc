#include "trireme/ops/declare.h"

namespace trireme {

OpDecl round_decl{
    .name = "round",
    .doc = "Rounds to the nearest whole number, halves to the even one.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback(ops::zero_gradient),
    .meaning = decompose([](const Decompose& d) -> Values { return ops::round_even(d.x(0)); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
