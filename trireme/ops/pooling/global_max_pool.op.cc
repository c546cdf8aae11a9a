#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl global_max_pool_decl{
    .name = "global_max_pool",
    .doc = "Largest element over all spatial axes of x [N, C, ...], which stay with size 1.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", numbers}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {"x has rank 3 or more: [N, C, ...]", "no spatial axis is empty"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) >= 3);
          Ints sizes = i.shape(0).vector();
          for (size_t a = 2; a < sizes.size(); ++a) {
            i.require(2, sizes[a] >= 1);
            sizes[a] = 1;
          }
          i.output(i.dtype(0), sizes);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      return ops::reduce_max(d.x(0), ops::axes_from(2, d.x(0).shape().rank()), true);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3,4,5]", "[2,3,7]", "[1,1,1,1]", "[0,3,2,2]"},
    .rejects = {"1: [2,3]", "2: [2,3,0]"},
};

}  // namespace trireme
