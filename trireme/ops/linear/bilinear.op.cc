#include "trireme/ops/declare.h"

namespace trireme {

OpDecl bilinear_decl{
    .name = "bilinear",
    .doc = "Bilinear form of two rows, y[..., o] = sum_ij x[..., i] weight[o, i, j] w[..., j] + bias[o].",
    .tier = Tier::kComposite,
    .kind = Kind::kContraction,
    .inputs = {{"x", floats},
               {"w", same_as_first},
               {"weight", same_as_first},
               {"bias", same_as_first, {}, Arity::kOptional}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kPromote,
    .rules = {"x and w have rank 1 or more and the same leading axes", "weight is [outputs, last of x, last of w]",
              "bias has shape [outputs]"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) >= 1 && i.rank(1) >= 1);
          const int last = i.rank(0) - 1;
          i.require(1, i.rank(1) == i.rank(0) && i.shape(0).without(last) == i.shape(1).without(last));
          i.require(2, i.rank(2) == 3 && i.shape(2)[1] == i.shape(0)[last] && i.shape(2)[2] == i.shape(1)[last]);
          i.require(3, !i.has(3) || i.shape(3) == Shape{i.shape(2)[0]});
          i.output(i.dtype(0), i.shape(0).with(last, i.shape(2)[0]));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const int64_t outputs = d.x(2).shape()[0], left = d.x(2).shape()[1], right = d.x(2).shape()[2];
      const int64_t rows = d.x(0).shape().without(d.x(0).shape().rank() - 1).elements();
      // x weight for every row: [rows, outputs, right]; then one small product per row with w.
      const Value weight = ops::reshape(ops::transpose(d.x(2), {1, 0, 2}), {1, left, outputs * right});
      const Value half = ops::dot_general(ops::reshape(d.x(0), {1, rows, left}), weight);
      const Value y =
          ops::dot_general(ops::reshape(half, {rows, outputs, right}), ops::reshape(d.x(1), {rows, right, 1}));
      const Value shaped = ops::reshape(y, d.y().shape().vector());
      return d.has(3) ? shaped + d.x(3) : shaped;
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,4] [5,3,4]", "[2,3] [2,4] [5,3,4] [5]", "[3] [2] [1,3,2] [1]", "[0,3] [0,4] [5,3,4]"},
    .rejects = {"1: [] [4] [5,3,4]", "1: [2,3] [3,4] [5,3,4]", "2: [2,3] [2,4] [5,4,3]", "3: [2,3] [2,4] [5,3,4] [4]"},
};

}  // namespace trireme
