#include "trireme/ops/declare.h"

namespace trireme {

OpDecl relu_decl{
    .name = "relu",
    .doc = "Rectifier, y = max(x, 0). The gradient at 0 is 0.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats | signed_ints}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = ops::select(ops::compare(p.x(0), 0.0, "gt"), p.dy(), 0.0); }),
    .meaning = decompose([](const Decompose& d) -> Values { return ops::max(d.x(0), 0.0); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
