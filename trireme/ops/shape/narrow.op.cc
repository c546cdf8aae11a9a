#include "trireme/ops/declare.h"

namespace trireme {

OpDecl narrow_decl{
    .name = "narrow",
    .doc = "A stretch of one axis, y = x[..., start : start + length, ...].",
    .tier = Tier::kComposite,
    .kind = Kind::kView,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"axis", required_int, "the axis"},
                   {"start", required_int, "first index"},
                   {"length", required_int, "how many"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, "0 <= start, 0 <= length and start + length <= size of the axis"},
    .infer =
        [](Infer& i) {
          const int axis = i.axis(1, i.integer("axis"), i.rank(0));
          const int64_t start = i.integer("start"), length = i.integer("length"), size = i.shape(0)[axis];
          i.require(2, 0 <= start && start <= size && 0 <= length && length <= size - start);
          i.output(i.dtype(0), i.shape(0).with(axis, length));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const int axis = static_cast<int>(normal_axis(d.integer("axis"), d.x(0).shape().rank()));
      return ops::slice_axis(d.x(0), axis, d.integer("start"), d.integer("start") + d.integer("length"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[5,3] axis=0 start=1 length=3", "[2,4] axis=-1 start=4 length=0", "[3] axis=0 start=0 length=3"},
    .rejects = {"1: [3] axis=1 start=0 length=1", "2: [3] axis=0 start=2 length=2", "2: [3] axis=0 start=-1 length=2"},
};

}  // namespace trireme
