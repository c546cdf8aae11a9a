#include "trireme/ops/declare.h"

namespace trireme {

OpDecl scatter_set_decl{
    .name = "scatter_set",
    .doc =
        "A copy of x whose slices that indices name along an axis hold the updates: y[..., indices, ...] = updates. "
        "updates has the shape of gather(x, indices, axis); indices outside 0 .. size-1 are ignored, and of equal "
        "indices the last in row-major order wins.",
    .tier = Tier::kMandatory,
    .kind = Kind::kIndexing,
    .inputs = {{"x", any_dtype}, {"indices", index_ints, {-1, 5}}, {"updates", same_as_first}},
    .outputs = {"y"},
    .attributes = {{"axis", 0, "axis of x the indices count along"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, kScatterShapes},
    .infer = infer_scatter,
    .gradient = pullback([](Pullback& p) {
      const Value& indices = p.x(1);
      const int64_t axis = p.integer("axis");
      const Shape& shape = p.x(0).shape();
      const int64_t size = shape[static_cast<int>(normal_axis(axis, shape.rank()))];
      const int64_t count = indices.shape().elements();
      p.dx(0) = ops::scatter_set(p.dy(), indices, ops::filled_like(p.x(2), 0.0), axis);
      // Scattering the updates' numbers in the same way tells which update of each place has won.
      const Value flat = ops::reshape(indices, {count}), number = ops::iota({count}, i32, 0);
      const Value winners = ops::scatter_set(ops::filled(i32, {size}, -1.0), flat, number, 0);
      const Value nobody = ops::filled(i32, {count}, -1.0);
      const Value winner =
          size == 0 ? nobody : ops::select(ops::in_range(winners, flat, 0), ops::gather(winners, flat, 0), nobody);
      const Value won = ops::reshape(ops::compare(winner, number, "eq"), indices.shape().vector());
      p.dx(2) = ops::select(ops::over_slices(won, shape, axis), ops::gather_in_range(p.dy(), indices, axis), 0.0);
    }),
    .meaning = evaluate([](Evaluation& e) { evaluate_scatter(e, [](auto, auto update) { return update; }); }),
    .accuracy = exact,
    .cost = no_flops,
    .cases = {"[5,3] i32[4]:0..4 [4,3]", "[5,3] i64[2,2]:-3..7 [2,2,3]", "[2,5,3] i32[4]:0..4 [2,4,3] axis=1",
              "[4] i32[]:0..3 []", "[2,3] i32[0]:0..1 [2,0] axis=-1", "[0,3] i32[2]:0..1 [2,3]"},
    .rejects = {"1: [5,3] i32[4]:0..4 [4,3] axis=2", "2: [5,3] i32[4]:0..4 [3,3]"},
};

}  // namespace trireme
