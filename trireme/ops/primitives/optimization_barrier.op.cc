#include "trireme/ops/declare.h"

namespace trireme {

OpDecl optimization_barrier_decl{
    .name = "optimization_barrier",
    .doc = "x, unchanged; nothing before it is merged with anything after it.",
    .tier = Tier::kExpected,
    .kind = Kind::kMovement,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = ops::optimization_barrier(p.dy()); }),
    .meaning = evaluate(evaluate_copy, [](const Decompose& d) -> Values { return d.x(0); }),
    .accuracy = exact,
    .cost = no_flops,
    .cases = {"[2,3]", "[]", "[0]"},
    .rejects = {},
};

}  // namespace trireme
