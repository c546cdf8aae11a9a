#include "trireme/ops/declare.h"

namespace trireme {

OpDecl scatter_add_decl{
    .name = "scatter_add",
    .doc =
        "A copy of x with updates added to the slices that indices name along an axis: y[..., indices, ...] += "
        "updates. "
        "updates has the shape of gather(x, indices, axis); indices outside 0 .. size-1 are ignored.",
    .tier = Tier::kBringUp,
    .kind = Kind::kIndexing,
    .inputs = {{"x", numbers}, {"indices", index_ints, {-1, 5}}, {"updates", same_as_first}},
    .outputs = {"y"},
    .attributes = {{"axis", 0, "axis of x the indices count along"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, kScatterShapes},
    .infer = infer_scatter,
    .gradient = pullback([](Pullback& p) {
      p.dx(0) = p.dy();
      p.dx(2) = ops::gather_in_range(p.dy(), p.x(1), p.integer("axis"));
    }),
    .meaning = evaluate([](Evaluation& e) {
      evaluate_scatter(
          e, [](auto old, auto update) { return wrapping([](auto a, auto b) { return a + b; }, old, update); });
    }),
    .accuracy = accumulated,
    .cost = flops([](const OpView& v) { return static_cast<double>(v.x(2).shape().elements()); }),
    .cases = {"[5,3] i32[4]:0..4 [4,3]", "[5,3] i64[2,2]:-3..7 [2,2,3]", "[2,5,3] i32[4]:0..4 [2,4,3] axis=1",
              "[4] i32[]:0..3 []", "[2,3] i32[0]:0..1 [2,0] axis=-1", "[0,3] i32[2]:0..1 [2,3]"},
    .rejects = {"1: [5,3] i32[4]:0..4 [4,3] axis=2", "2: [5,3] i32[4]:0..4 [3,3]"},
};

}  // namespace trireme
