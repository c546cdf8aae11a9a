#include "trireme/ops/declare.h"

namespace trireme {

OpDecl dot_decl{
    .name = "dot",
    .doc = "Inner product of two vectors, y = sum_k x[k] w[k].",
    .tier = Tier::kComposite,
    .kind = Kind::kContraction,
    .inputs = {{"x", numbers}, {"w", same_as_first}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kPromote,
    .rules = {"x and w have rank 1", "x and w have the same size"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) == 1 && i.rank(1) == 1, "use flatten or matmul");
          i.require(2, i.shape(0) == i.shape(1));
          i.output(i.dtype(0), {});
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const int64_t size = d.x(0).shape()[0];
      return ops::reshape(ops::dot_general(ops::reshape(d.x(0), {1, 1, size}), ops::reshape(d.x(1), {1, size, 1})), {});
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[3] [3]", "[1] [1]", "[0] [0]"},
    .rejects = {"1: [2,1] [2]", "2: [2] [3]"},
};

}  // namespace trireme
