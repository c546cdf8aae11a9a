#include "trireme/ops/declare.h"

namespace trireme {

OpDecl prelu_decl{
    .name = "prelu",
    .doc =
        "Rectifier with a learned leak, y = x for x > 0, else w x. w has one element, or one per channel "
        "x.shape[1].",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}, {"w", same_as_first}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kPromote,
    .rules = {"w has rank 1", "w has 1 element, or as many as axis 1 of x"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(1) == 1);
          i.require(2, i.shape(1)[0] == 1 || (i.rank(0) >= 2 && i.shape(1)[0] == i.shape(0)[1]));
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value& x = d.x(0);
      Ints sizes(static_cast<size_t>(x.shape().rank()), 1);
      if (sizes.size() >= 2) sizes[1] = d.x(1).shape()[0];
      const Value w = ops::broadcast_to(ops::reshape(d.x(1), sizes), x.shape().vector());
      return ops::select(ops::compare(x, 0.0, "gt"), x, w * x);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [3]", "[2,3,2] [1]", "[5] [1]", "[] [1]", "[0,3] [3]"},
    .rejects = {"1: [2,3] []", "2: [2,3] [2]", "2: [3] [3]"},
};

}  // namespace trireme
