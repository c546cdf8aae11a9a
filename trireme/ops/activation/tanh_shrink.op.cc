#include "trireme/ops/declare.h"

namespace trireme {

OpDecl tanh_shrink_decl{
    .name = "tanh_shrink",
    .doc = "What tanh leaves, y = x - tanh(x).",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) {
      const Value t = ops::tanh(p.x(0));
      p.dx(0) = p.dy() * t * t;
    }),
    .meaning = decompose([](const Decompose& d) -> Values { return d.x(0) - ops::tanh(d.x(0)); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
