#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl where_decl{
    .name = "where",
    .doc = "Chooses element by element, y = condition ? x : w; the three broadcast, x and w promote.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"condition", bools}, {"x", any_dtype}, {"w", any_dtype}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {"condition, x and w broadcast to one shape"},
    .infer =
        [](Infer& i) {
          Shape shape;
          i.require(1, broadcast_shapes(i.shape(1), i.shape(2), &shape) && broadcast_shapes(i.shape(0), shape, &shape));
          i.output(promote(i.dtype(1), i.dtype(2)), shape);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const DType type = d.y().dtype();
      const Ints shape = d.y().shape().vector();
      const auto fitted = [&](const Value& v) { return ops::broadcast_to(ops::as_type(v, type), shape); };
      return ops::select(ops::broadcast_to(d.x(0), shape), fitted(d.x(1)), fitted(d.x(2)));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] f32[2,3] f32[2,3]", "[2,1] f32[3] f32[]", "[] f64[] f64[]", "[0] f16[1] f16[0]",
              "[4] i32[4] f32[4]", "[4] bool[4] bool[4]"},
    .rejects = {"1: [2] f32[3] f32[3]"},
};

}  // namespace trireme
