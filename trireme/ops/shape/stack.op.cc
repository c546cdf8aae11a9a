#include "trireme/ops/declare.h"

namespace trireme {

OpDecl stack_decl{
    .name = "stack",
    .doc = "Joins tensors of one shape along a new axis.",
    .tier = Tier::kComposite,
    .kind = Kind::kMovement,
    .inputs = {{"xs", any_dtype, {}, Arity::kVariadic}},
    .outputs = {"y"},
    .attributes = {{"axis", 0, "place of the new axis in the result"}},
    .coerce = Coerce::kPromote,
    .rules = {"axis is within the rank of the result", "all inputs have the same shape"},
    .infer =
        [](Infer& i) {
          const int axis = i.axis(1, i.integer("axis"), i.rank(0) + 1);
          for (int k = 1; k < i.inputs(); ++k) i.require(2, i.shape(k) == i.shape(0));
          i.output(i.dtype(0), i.shape(0).inserted(axis, i.inputs()));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const int axis = static_cast<int>(normal_axis(d.integer("axis"), d.y().shape().rank()));
      const Ints part = d.x(0).shape().inserted(axis, 1).vector();
      std::vector<Value> parts;
      for (int k = 0; k < d.inputs(); ++k) parts.push_back(ops::reshape(d.x(k), part));
      return ops::concat(parts, axis);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3]", "[2,3] [2,3] [2,3] axis=-1", "[] []", "[3]", "[0,2] [0,2] axis=1"},
    .rejects = {"1: [2,3] [2,3] axis=3", "2: [2,3] [3,2]"},
};

}  // namespace trireme
