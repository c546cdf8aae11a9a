#include "trireme/ops/declare.h"

namespace trireme {

OpDecl relu6_decl{
    .name = "relu6",
    .doc = "Rectifier with a ceiling, y = min(max(x, 0), 6). The gradient at 0 and 6 is 0.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats | signed_ints, {-3, 9}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) {
      const Value inside = ops::and_(ops::compare(p.x(0), 0.0, "gt"), ops::compare(p.x(0), 6.0, "lt"));
      p.dx(0) = ops::select(inside, p.dy(), 0.0);
    }),
    .meaning = decompose([](const Decompose& d) -> Values { return ops::min(ops::max(d.x(0), 0.0), 6.0); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
