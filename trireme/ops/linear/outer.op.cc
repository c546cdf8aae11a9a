#include "trireme/ops/declare.h"

namespace trireme {

OpDecl outer_decl{
    .name = "outer",
    .doc = "Outer product of the last axes, y[..., i, j] = x[..., i] w[..., j]; the leading axes broadcast.",
    .tier = Tier::kComposite,
    .kind = Kind::kContraction,
    .inputs = {{"x", numbers}, {"w", same_as_first}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kPromote,
    .rules = {"x and w have rank 1 or more", "the leading axes broadcast"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) >= 1 && i.rank(1) >= 1, "use mul for scalars");
          Shape y;
          i.require(2, broadcast_shapes(i.shape(0).inserted(i.rank(0), 1), i.shape(1).inserted(i.rank(1) - 1, 1), &y));
          i.output(i.dtype(0), y);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const int rank_x = d.x(0).shape().rank(), rank_w = d.x(1).shape().rank();
      return ops::reshape(d.x(0), d.x(0).shape().inserted(rank_x, 1).vector()) *
             ops::reshape(d.x(1), d.x(1).shape().inserted(rank_w - 1, 1).vector());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2] [3]", "[4,2] [4,3]", "[4,2] [3]", "[0] [3]", "[1] [1]"},
    .rejects = {"1: [] [3]", "2: [2,3] [4,3]"},
};

}  // namespace trireme
