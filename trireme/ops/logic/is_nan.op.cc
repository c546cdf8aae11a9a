#include "trireme/ops/declare.h"

namespace trireme {

OpDecl is_nan_decl{
    .name = "is_nan",
    .doc = "True where x is not a number.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = [](Infer& i) { i.output(boolean, i.shape(0)); },
    .gradient = none("the result is bool"),
    .meaning = decompose([](const Decompose& d) -> Values { return ops::compare(d.x(0), d.x(0), "ne"); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
