#include "trireme/ops/declare.h"

namespace trireme {

OpDecl kth_value_decl{
    .name = "kth_value",
    .doc = "The k-th smallest element along an axis (k counts from 1) and its index; NaN sorts last.",
    .tier = Tier::kComposite,
    .kind = Kind::kOrder,
    .inputs = {{"x", numbers}},
    .outputs = {"values", "indices"},
    .attributes = {{"k", required_int, "rank of the element, from 1"},
                   {"axis", -1, "axis to reduce"},
                   {"keepdims", false, "keep it with size 1"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, "k is within 1 .. size of the axis"},
    .infer =
        [](Infer& i) {
          const int axis = i.axis(1, i.integer("axis"), i.rank(0));
          i.require(2, i.integer("k") >= 1 && i.integer("k") <= i.shape(0)[axis]);
          const Shape shape = i.flag("keepdims") ? i.shape(0).with(axis, 1) : i.shape(0).without(axis);
          i.output(i.dtype(0), shape);
          i.output(i32, shape);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const int axis = static_cast<int>(normal_axis(d.integer("axis"), d.x(0).shape().rank()));
      const int64_t k = d.integer("k");
      Values out;
      for (const Value& sorted : ops::sort_with_indices(d.x(0), axis)) {
        out.push_back(ops::reshape(ops::slice_axis(sorted, axis, k - 1, k), d.y().shape().vector()));
      }
      return out;
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[5] k=2", "[2,4] k=4", "[3,2] k=1 axis=0 keepdims=true", "[1] k=1"},
    .rejects = {"1: [3] k=1 axis=1", "2: [3] k=4", "2: [3] k=0"},
};

}  // namespace trireme
