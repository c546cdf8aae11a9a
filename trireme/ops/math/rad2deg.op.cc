#include "trireme/ops/declare.h"

namespace trireme {

OpDecl rad2deg_decl{
    .name = "rad2deg",
    .doc = "Radians to degrees, y = x 180 / pi.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values { return d.x(0) * (180.0 / std::numbers::pi); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
