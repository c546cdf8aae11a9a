#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl logical_and_decl{
    .name = "logical_and",
    .doc = "True where both are not 0.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", any_dtype}, {"w", same_as_first}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kBroadcast,
    .rules = {kEqualShapes},
    .infer =
        [](Infer& i) {
          i.require(1, i.shape(0) == i.shape(1));
          i.output(boolean, i.shape(0));
        },
    .gradient = none("the result is bool"),
    .meaning = decompose([](const Decompose& d) -> Values {
      return ops::and_(ops::as_type(d.x(0), boolean), ops::as_type(d.x(1), boolean));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3]", "[] []", "[0,4] [0,4]", "[17] [17]", "i32[9]:0..1 i32[9]:0..1"},
    .rejects = {"1: [2,3] [3,2]"},
};

}  // namespace trireme
