#include "trireme/ops/declare.h"

namespace trireme {

OpDecl optimization_barrier_decl{
    .name = "optimization_barrier",
    .doc =
        "x, unchanged; nothing before it is merged with anything after it, and what reads it runs after `after` has "
        "been computed.",
    .tier = Tier::kHost,
    .kind = Kind::kView,
    .inputs = {{"x", any_dtype}, {"after", any_dtype, {}, Arity::kOptional}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = [](Infer& i) { i.output(i.dtype(0), i.shape(0)); },
    .gradient = pullback([](Pullback& p) { p.dx(0) = ops::optimization_barrier(p.dy()); }),
    .meaning = evaluate(evaluate_copy),
    .accuracy = exact,
    .cost = no_flops,
    .cases = {"[2,3]", "[]", "[0]", "[2,3] i32[4]"},
    .rejects = {},
};

}  // namespace trireme
