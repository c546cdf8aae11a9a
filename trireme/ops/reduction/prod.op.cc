#include "trireme/ops/declare.h"

namespace trireme {

OpDecl prod_decl{
    .name = "prod",
    .doc = "Product over axes, y = prod_a x; integers wrap.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", numbers}},
    .outputs = {"y"},
    .attributes = {{"axes", Ints{}, "axes to reduce; empty: all"}, {"keepdims", false, "keep them with size 1"}},
    .coerce = Coerce::kNone,
    .rules = {kAxesInRange},
    .infer = infer_reduction,
    .gradient = gradient_of_decomposition,
    .meaning = decompose(
        [](const Decompose& d) -> Values { return ops::reduce_prod(d.x(0), d.integers("axes"), d.flag("keepdims")); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[2,3] axes=[1]", "[2,3] axes=[0] keepdims=true", "[2,3,2] axes=[0,-1]", "[]"},
    .rejects = {"1: [2,3] axes=[2]", "1: [2,3] axes=[0,-2]"},
};

}  // namespace trireme
