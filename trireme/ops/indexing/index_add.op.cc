#include "trireme/ops/declare.h"

namespace trireme {

OpDecl index_add_decl{
    .name = "index_add",
    .doc =
        "A copy of x with slices of updates added along an axis, y[.., indices[k], ..] += updates[.., k, "
        "..]; indices outside 0 .. size-1 are ignored.",
    .tier = Tier::kComposite,
    .kind = Kind::kIndexing,
    .inputs = {{"x", numbers}, {"indices", index_ints, {-1, 5}}, {"updates", same_as_first}},
    .outputs = {"y"},
    .attributes = {{"axis", 0, "axis the indices count along"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, kScatterShapes, "indices has rank 1"},
    .infer =
        [](Infer& i) {
          i.require(3, i.rank(1) == 1, "scatter_add takes indices of any shape");
          infer_scatter(i);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose(
        [](const Decompose& d) -> Values { return ops::scatter_add(d.x(0), d.x(1), d.x(2), d.integer("axis")); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[5,3] i32[4]:0..4 [4,3]", "[2,4] i64[3]:-2..6 [2,3] axis=-1", "[3] i32[0]:0..0 [0]"},
    .rejects = {"1: [3] i32[2]:0..1 [2] axis=1", "2: [3] i32[2]:0..1 [3]", "3: [3] i32[1,2]:0..1 [1,2]"},
};

}  // namespace trireme
