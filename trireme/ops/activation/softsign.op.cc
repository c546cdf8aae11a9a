#include "trireme/ops/declare.h"

namespace trireme {

OpDecl softsign_decl{
    .name = "softsign",
    .doc = "Softsign, y = x / (1 + |x|).",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) {
      const Value scale = 1.0 + ops::abs(p.x(0));
      p.dx(0) = p.dy() / scale / scale;
    }),
    .meaning = decompose([](const Decompose& d) -> Values { return d.x(0) / (1.0 + ops::abs(d.x(0))); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
