#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl logical_not_decl{
    .name = "logical_not",
    .doc = "True where x is 0.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = [](Infer& i) { i.output(boolean, i.shape(0)); },
    .gradient = none("the result is bool"),
    .meaning = decompose([](const Decompose& d) -> Values { return ops::not_(ops::as_type(d.x(0), boolean)); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
