#include "trireme/ops/declare.h"

namespace trireme {

OpDecl glu_decl{
    .name = "glu",
    .doc = "Gated linear unit, y = a / (1 + e^-b) with x cut into equal halves a, b along an axis.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"axis", -1, "axis to cut"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, "the size of the axis is even"},
    .infer =
        [](Infer& i) {
          const int axis = i.axis(1, i.integer("axis"), i.rank(0));
          i.require(2, i.shape(0)[axis] % 2 == 0);
          i.output(i.dtype(0), i.shape(0).with(axis, i.shape(0)[axis] / 2));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const int axis = static_cast<int>(normal_axis(d.integer("axis"), d.x(0).shape().rank()));
      const int64_t half = d.y().shape()[axis];
      return ops::slice_axis(d.x(0), axis, 0, half) * ops::logistic(ops::slice_axis(d.x(0), axis, half, 2 * half));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,4]", "[6,3] axis=0", "[2]", "[3,0]"},
    .rejects = {"1: [2,4] axis=2", "2: [4,3]"},
};

}  // namespace trireme
