#include "trireme/ops/declare.h"

namespace trireme {

OpDecl select_index_decl{
    .name = "select_index",
    .doc = "One index of an axis, which is dropped: y = x[..., index, ...].",
    .tier = Tier::kComposite,
    .kind = Kind::kView,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"axis", required_int, "the axis"}, {"index", required_int, "may count from the back"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, "index is within -size .. size-1 of the axis"},
    .infer =
        [](Infer& i) {
          const int axis = i.axis(1, i.integer("axis"), i.rank(0));
          const int64_t index = i.integer("index"), size = i.shape(0)[axis];
          i.require(2, index >= -size && index < size);
          i.output(i.dtype(0), i.shape(0).without(axis));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const int axis = static_cast<int>(normal_axis(d.integer("axis"), d.x(0).shape().rank()));
      const int64_t index = d.integer("index"), at = index < 0 ? index + d.x(0).shape()[axis] : index;
      return ops::reshape(ops::slice_axis(d.x(0), axis, at, at + 1), d.y().shape().vector());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[5,3] axis=0 index=1", "[2,4] axis=-1 index=-1", "[3] axis=0 index=2", "[2,0] axis=0 index=0"},
    .rejects = {"1: [3] axis=1 index=0", "2: [3] axis=0 index=3"},
};

}  // namespace trireme
