#include "trireme/ops/declare.h"

namespace trireme {

OpDecl nan_to_num_decl{
    .name = "nan_to_num",
    .doc = "Replaces NaN by a value and the infinities by the largest and lowest finite numbers of the type.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"nan", 0.0, "what NaN becomes"}},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = ops::select(ops::is_finite(p.x(0)), p.dy(), 0.0); }),
    .meaning = decompose([](const Decompose& d) -> Values {
      const DType type = d.x(0).dtype();
      const Value finite = ops::min(ops::max(d.x(0), lowest(type)), highest(type));
      return ops::select(ops::compare(d.x(0), d.x(0), "ne"), d.number("nan"), finite);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
