#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl group_norm_decl{
    .name = "group_norm",
    .doc =
        "Normalises each of `groups` runs of channels of each sample, y = (x - mean) / sqrt(variance + epsilon) * "
        "weight[c] + bias[c]; channels are axis 1.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}, {"weight", floats, {}, Arity::kOptional}, {"bias", floats, {}, Arity::kOptional}},
    .outputs = {"y"},
    .attributes = {{"groups", required_int, "number of groups"}, {"epsilon", 1e-5, "added to the variance"}},
    .coerce = Coerce::kNone,
    .rules = {"x has rank 2 or more: [N, C, ...]", "groups is 1 or more and divides C",
              "weight and bias have shape [C]", "epsilon is not negative"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) >= 2);
          const int64_t groups = i.integer("groups"), channels = i.shape(0)[1];
          i.require(2, groups >= 1 && channels % groups == 0);
          const Shape vector{channels};
          i.require(3, (!i.has(1) || i.shape(1) == vector) && (!i.has(2) || i.shape(2) == vector));
          i.require(4, i.number("epsilon") >= 0);
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Shape& shape = d.x(0).shape();
      const int64_t groups = d.integer("groups");
      int64_t size = shape[1] / groups;  // elements of one group
      for (int a = 2; a < shape.rank(); ++a) size *= shape[a];
      const Value grouped = ops::reshape(ops::widen(d.x(0)), {shape[0], groups, size});
      Value y = ops::reshape(ops::layer_norm(grouped, {}, {}, 1, d.number("epsilon")), shape.vector());
      if (d.has(1)) y = y * ops::along_axis(ops::widen(d.x(1)), 1, shape.rank());
      if (d.has(2)) y = y + ops::along_axis(ops::widen(d.x(2)), 1, shape.rank());
      return ops::as_type(y, d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,4] groups=2", "[2,4,3] [4] [4] groups=2", "bf16[2,6,2,2] f32[6] f32[6] groups=3",
              "[1,3,5] _ [3] groups=1", "[0,4] groups=2"},
    .rejects = {"1: [4] groups=2", "2: [2,4] groups=3", "2: [2,4] groups=0", "3: [2,4] [2] groups=2",
                "4: [2,4] groups=2 epsilon=-1.0"},
};

}  // namespace trireme
