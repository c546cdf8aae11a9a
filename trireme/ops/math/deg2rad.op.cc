#include "trireme/ops/declare.h"

namespace trireme {

OpDecl deg2rad_decl{
    .name = "deg2rad",
    .doc = "Degrees to radians, y = x pi / 180.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats, {-180, 180}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values { return d.x(0) * (std::numbers::pi / 180.0); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
