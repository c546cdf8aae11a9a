#include "trireme/ops/declare.h"

namespace trireme {

OpDecl median_decl{
    .name = "median",
    .doc =
        "Median along an axis: the middle element in sorted order, or the mean of the two middle ones. "
        "NaN sorts last.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"axis", -1, "axis to reduce"}, {"keepdims", false, "keep it with size 1"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, "the axis has at least one element"},
    .infer =
        [](Infer& i) {
          const int axis = i.axis(1, i.integer("axis"), i.rank(0));
          i.require(2, i.shape(0)[axis] > 0);
          i.output(i.dtype(0), i.flag("keepdims") ? i.shape(0).with(axis, 1) : i.shape(0).without(axis));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const int axis = static_cast<int>(normal_axis(d.integer("axis"), d.x(0).shape().rank()));
      const int64_t size = d.x(0).shape()[axis], middle = size / 2;
      const Value sorted = ops::sort({d.x(0)}, axis)[0];
      Value y = ops::slice_axis(sorted, axis, middle, middle + 1);
      if (size % 2 == 0) y = (y + ops::slice_axis(sorted, axis, middle - 1, middle)) * 0.5;
      return ops::reshape(y, d.y().shape().vector());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[5]", "[2,4]", "[3,2] axis=0 keepdims=true", "[1]", "[0,3]"},
    .rejects = {"1: [3] axis=1", "2: [2,0]"},
};

}  // namespace trireme
