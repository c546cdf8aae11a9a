#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl batch_norm_inference_decl{
    .name = "batch_norm_inference",
    .doc =
        "Batch normalisation with given statistics, per channel (axis 1): "
        "y = (x - mean) / sqrt(variance + epsilon) * weight + bias.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats},
               {"mean", floats},
               {"variance", floats, {0.1, 2.0}},
               {"weight", floats, {}, Arity::kOptional},
               {"bias", floats, {}, Arity::kOptional}},
    .outputs = {"y"},
    .attributes = {{"epsilon", 1e-5, "added to the variance"}},
    .coerce = Coerce::kNone,
    .rules = {"x has rank 2 or more: [N, C, ...]", "mean, variance, weight and bias have shape [C]",
              "epsilon is not negative"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) >= 2);
          for (int k = 1; k < i.inputs(); ++k) i.require(2, !i.has(k) || i.shape(k) == Shape{i.shape(0)[1]});
          i.require(3, i.number("epsilon") >= 0);
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const int rank = d.x(0).shape().rank();
      const auto channel = [&](int input) { return ops::along_axis(ops::widen(d.x(input)), 1, rank); };
      const Value r = ops::rsqrt(channel(2) + d.number("epsilon"));
      Value y = (ops::widen(d.x(0)) - channel(1)) * (d.has(3) ? r * channel(3) : r);
      if (d.has(4)) y = y + channel(4);
      return ops::as_type(y, d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[4,3] [3] [3]", "[4,3] [3] [3] [3] [3]", "bf16[2,3,2,5] f32[3] f32[3] f32[3] f32[3]",
              "[3,1,4] [1] [1] _ [1]", "[0,3] [3] [3] epsilon=0.1"},
    .rejects = {"1: [3] [3] [3]", "2: [4,3] [4] [3]", "2: [4,3] [3] [3] [3] [4]", "3: [4,3] [3] [3] epsilon=-1.0"},
};

}  // namespace trireme
