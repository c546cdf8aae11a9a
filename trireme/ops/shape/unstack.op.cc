#include "trireme/ops/declare.h"

namespace trireme {

OpDecl unstack_decl{
    .name = "unstack",
    .doc = "Takes an axis apart: one output, without the axis, per index.",
    .tier = Tier::kComposite,
    .kind = Kind::kView,
    .inputs = {{"x", any_dtype}},
    .outputs = {"ys..."},
    .attributes = {{"axis", 0, "axis to cut"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, "the axis has at least one element"},
    .infer =
        [](Infer& i) {
          const int axis = i.axis(1, i.integer("axis"), i.rank(0));
          i.require(2, i.shape(0)[axis] > 0);
          for (int64_t k = 0; k < i.shape(0)[axis]; ++k) i.output(i.dtype(0), i.shape(0).without(axis));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const int axis = static_cast<int>(normal_axis(d.integer("axis"), d.x(0).shape().rank()));
      Values parts;
      for (int64_t k = 0; k < d.x(0).shape()[axis]; ++k) {
        parts.push_back(ops::reshape(ops::slice_axis(d.x(0), axis, k, k + 1), d.y().shape().vector()));
      }
      return parts;
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[2,3] axis=-1", "[3]", "[2,0]"},
    .rejects = {"1: [2,3] axis=2", "2: [0,3]"},
};

}  // namespace trireme
