#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl instance_norm_decl{
    .name = "instance_norm",
    .doc =
        "Normalises each channel (axis 1) of each sample over the remaining axes, "
        "y = (x - mean) / sqrt(variance + epsilon) * weight[c] + bias[c].",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}, {"weight", floats, {}, Arity::kOptional}, {"bias", floats, {}, Arity::kOptional}},
    .outputs = {"y"},
    .attributes = {{"epsilon", 1e-5, "added to the variance"}},
    .coerce = Coerce::kNone,
    .rules = {"x has rank 3 or more: [N, C, ...]", "weight and bias have shape [C]", "epsilon is not negative"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) >= 3);
          const Shape vector{i.shape(0)[1]};
          i.require(2, (!i.has(1) || i.shape(1) == vector) && (!i.has(2) || i.shape(2) == vector));
          i.require(3, i.number("epsilon") >= 0);
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const int rank = d.x(0).shape().rank();
      Value y = ops::layer_norm(ops::widen(d.x(0)), {}, {}, rank - 2, d.number("epsilon"));
      if (d.has(1)) y = y * ops::along_axis(ops::widen(d.x(1)), 1, rank);
      if (d.has(2)) y = y + ops::along_axis(ops::widen(d.x(2)), 1, rank);
      return ops::as_type(y, d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,4,3]", "[2,3,2,3] [3] [3]", "bf16[2,3,5] f32[3] f32[3]", "[1,3,5] _ [3]", "[0,4,3]"},
    .rejects = {"1: [4,3]", "2: [2,4,3] [3]", "2: [2,4,3] [4] [3]", "3: [2,4,3] epsilon=-1.0"},
};

}  // namespace trireme
