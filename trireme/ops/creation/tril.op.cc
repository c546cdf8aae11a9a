#include "trireme/ops/declare.h"

namespace trireme {

OpDecl tril_decl{
    .name = "tril",
    .doc =
        "Lower triangle of the last two axes, y[..., i, j] = x[..., i, j] where j - i <= diagonal, else "
        "0.",
    .tier = Tier::kComposite,
    .kind = Kind::kMovement,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"diagonal", 0, "0 the main one, above 0 to the right"}},
    .coerce = Coerce::kNone,
    .rules = {"x has rank 2 or more"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) >= 2);
          infer_same(i);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Ints shape = d.x(0).shape().vector();
      const Ints matrix(shape.end() - 2, shape.end());
      const Value distance = ops::iota(matrix, i32, 1) - ops::iota(matrix, i32, 0);
      const Value kept = ops::compare(distance, static_cast<double>(d.integer("diagonal")), "le");
      return ops::select(ops::broadcast_to(kept, shape), d.x(0), ops::filled_like(d.x(0), 0.0));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[3,3]", "[2,3,4] diagonal=1", "[4,2] diagonal=-1", "[0,3]"},
    .rejects = {"1: [3]"},
};

}  // namespace trireme
