#include "trireme/ops/declare.h"

namespace trireme {

OpDecl hard_sigmoid_decl{
    .name = "hard_sigmoid",
    .doc =
        "Piecewise linear sigmoid, y = min(max(slope x + offset, 0), 1). The gradient at the two corners "
        "is 0.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats, {-4, 4}}},
    .outputs = {"y"},
    .attributes = {{"slope", 0.16666666666666666, "slope at 0"}, {"offset", 0.5, "value at 0"}},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) {
      const Value inside = ops::and_(ops::compare(p.y(), 0.0, "gt"), ops::compare(p.y(), 1.0, "lt"));
      p.dx(0) = ops::select(inside, p.dy() * p.number("slope"), 0.0);
    }),
    .meaning = decompose([](const Decompose& d) -> Values {
      return ops::min(ops::max(d.x(0) * d.number("slope") + d.number("offset"), 0.0), 1.0);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]", "[9] slope=0.2 offset=0.4"},
    .rejects = {},
};

}  // namespace trireme
