#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl linear_decl{
    .name = "linear",
    .doc = "Affine map of the last axis, y[..., o] = sum_i x[..., i] weight[o, i] + bias[o].",
    .tier = Tier::kComposite,
    .kind = Kind::kContraction,
    .inputs = {{"x", floats}, {"weight", same_as_first}, {"bias", same_as_first, {}, Arity::kOptional}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kPromote,
    .rules = {"x has rank 1 or more and weight has rank 2", "the last axis of x has weight.shape[1] elements",
              "bias has shape [weight.shape[0]]"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) >= 1 && i.rank(1) == 2);
          i.require(2, i.shape(0)[i.rank(0) - 1] == i.shape(1)[1], "weight is [outputs, inputs]");
          i.require(3, !i.has(2) || i.shape(2) == Shape{i.shape(1)[0]});
          i.output(i.dtype(0), i.shape(0).with(i.rank(0) - 1, i.shape(1)[0]));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const int64_t outputs = d.x(1).shape()[0], inputs = d.x(1).shape()[1];
      const Shape lead = d.x(0).shape().without(d.x(0).shape().rank() - 1);
      const Value rows = ops::reshape(d.x(0), {1, lead.elements(), inputs});
      const Value weight = ops::reshape(ops::transpose(d.x(1), {1, 0}), {1, inputs, outputs});
      Value y = ops::dot_general(rows, weight);
      if (d.has(2)) y = y + d.x(2);  // before the reshape: one region with the product
      return ops::reshape(y, d.y().shape().vector());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [4,3]", "[2,3] [4,3] [4]", "[3] [4,3] [4]", "[5,2,3] [1,3] [1]", "[0,3] [4,3] [4]",
              "[2,0] [4,0] [4]"},
    .rejects = {"1: [] [4,3]", "1: [3] [3]", "2: [2,4] [4,3]", "3: [2,3] [4,3] [3]"},
};

}  // namespace trireme
