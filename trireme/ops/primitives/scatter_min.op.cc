#include "trireme/ops/declare.h"

namespace trireme {

OpDecl scatter_min_decl{
    .name = "scatter_min",
    .doc =
        "A copy of x whose slices that indices name along an axis are lowered to the updates: y[..., indices, ...] = "
        "min(y, updates). updates has the shape of gather(x, indices, axis); indices outside 0 .. size-1 are ignored.",
    .tier = Tier::kExpected,
    .kind = Kind::kIndexing,
    .inputs = {{"x", numbers}, {"indices", index_ints, {-1, 5}}, {"updates", same_as_first}},
    .outputs = {"y"},
    .attributes = {{"axis", 0, "axis of x the indices count along"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, kScatterShapes},
    .infer = infer_scatter,
    .gradient = pullback(ops::share_of_scattered_extreme),
    .meaning = evaluate([](Evaluation& e) { evaluate_scatter(e, smaller); },
                        [](const Decompose& d) -> Values {
                          const Value best =
                              ops::reduce_min(ops::scatter_candidates(d, ops::highest_like(d.x(2))), {1}, false);
                          return ops::min(d.x(0), ops::reshape(best, d.x(0).shape().vector()));
                        }),
    .accuracy = exact,
    .cost = flops([](const OpView& v) { return static_cast<double>(v.x(2).shape().elements()); }),
    .cases = {"[5,3] i32[4]:0..4 [4,3]", "[5,3] i64[2,2]:-3..7 [2,2,3]", "[2,5,3] i32[4]:0..4 [2,4,3] axis=1",
              "[4] i32[]:0..3 []", "[2,3] i32[0]:0..1 [2,0] axis=-1", "[0,3] i32[2]:0..1 [2,3]"},
    .rejects = {"1: [5,3] i32[4]:0..4 [4,3] axis=2", "2: [5,3] i32[4]:0..4 [3,3]"},
};

}  // namespace trireme
