#include "trireme/ops/declare.h"

namespace trireme {

OpDecl is_inf_decl{
    .name = "is_inf",
    .doc = "True where x is +inf or -inf.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = [](Infer& i) { i.output(boolean, i.shape(0)); },
    .gradient = none("the result is bool"),
    .meaning = decompose([](const Decompose& d) -> Values {
      return ops::compare(ops::abs(d.x(0)), std::numeric_limits<double>::infinity(), "eq");
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
