#include "trireme/ops/declare.h"

namespace trireme {

OpDecl select_decl{
    .name = "select",
    .doc = "Chooses between two tensors, y = condition ? x : w, element by element.",
    .tier = Tier::kBringUp,
    .kind = Kind::kElementwise,
    .inputs = {{"condition", bools}, {"x", any_dtype}, {"w", any_dtype}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kBroadcast,
    .rules = {kEqualShapes, "x and w have the same element type"},
    .infer =
        [](Infer& i) {
          i.require(1, i.shape(0) == i.shape(1) && i.shape(1) == i.shape(2));
          i.require(2, i.dtype(1) == i.dtype(2), "use convert on one of them");
          i.output(i.dtype(1), i.shape(1));
        },
    .gradient = pullback([](Pullback& p) {
      const Value zero = ops::filled_like(p.y(), 0.0);
      p.dx(1) = ops::select(p.x(0), p.dy(), zero);
      p.dx(2) = ops::select(p.x(0), zero, p.dy());
    }),
    .meaning = evaluate([](Evaluation& e) {
      for (int64_t i = 0; i < e.y().elements(); ++i) {
        e.y().copy_element(i, e.x(e.x(0).integer[static_cast<size_t>(i)] != 0 ? 1 : 2), i);
      }
    }),
    .accuracy = exact,
    .cost = flops_per_element(1),
    .cases = {"[2,3] f32[2,3] f32[2,3]", "[] f16[] f16[]", "[0] bf16[0] bf16[0]", "[17] i32[17] i32[17]",
              "[9] f64[9] f64[9]", "[9] bool[9] bool[9]", "[5] u8[5] u8[5]", "[5] i64[5] i64[5]"},
    .rejects = {"1: [2,3] f32[2,3] f32[3,2]", "2: [2] f32[2] i32[2]"},
};

}  // namespace trireme
