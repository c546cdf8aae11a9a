#include "trireme/ops/declare.h"

namespace trireme {

OpDecl index_select_decl{
    .name = "index_select",
    .doc =
        "Picks slices of x along an axis, y = x[.., indices, ..]; an index outside 0 .. size-1 is "
        "clamped.",
    .tier = Tier::kComposite,
    .kind = Kind::kIndexing,
    .inputs = {{"x", any_dtype}, {"indices", index_ints, {-1, 5}}},
    .outputs = {"y"},
    .attributes = {{"axis", 0, "axis the indices count along"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, "indices has rank 1", "the axis of x has elements, or there are no indices"},
    .infer =
        [](Infer& i) {
          const int axis = i.axis(1, i.integer("axis"), i.rank(0));
          i.require(2, i.rank(1) == 1, "gather takes indices of any shape");
          i.require(3, i.shape(0)[axis] > 0 || i.shape(1).elements() == 0);
          i.output(i.dtype(0), i.shape(0).with(axis, i.shape(1)[0]));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values { return ops::gather(d.x(0), d.x(1), d.integer("axis")); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[5,3] i32[4]:0..4", "[2,4] i64[3]:-2..6 axis=-1", "[3] i32[0]:0..0"},
    .rejects = {"1: [3] i32[2]:0..1 axis=1", "2: [3] i32[1,2]:0..1", "3: [0] i32[1]:0..0"},
};

}  // namespace trireme
