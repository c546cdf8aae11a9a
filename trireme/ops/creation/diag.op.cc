#include "trireme/ops/declare.h"
#include "trireme/ops/sizes.h"

namespace trireme {

OpDecl diag_decl{
    .name = "diag",
    .doc =
        "Square matrix with the vector x on a diagonal, y[i, i + offset] = x[i] (offset below 0: y[i - "
        "offset, i]).",
    .tier = Tier::kComposite,
    .kind = Kind::kMovement,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"offset", 0, "0 the main diagonal, above 0 to the right"}},
    .coerce = Coerce::kNone,
    .rules = {"x has rank 1"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) == 1);
          const Wide offset = i.integer("offset");
          const int64_t side = bounded(i.shape(0)[0] + (offset < 0 ? -offset : offset));
          i.output(i.dtype(0), {side, side});
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      // In row-major order neighbours on a diagonal are side + 1 apart: padding between them makes the matrix.
      const int64_t count = d.x(0).shape()[0], offset = d.integer("offset"), side = d.y().shape()[0];
      const int64_t low = offset >= 0 ? offset : -offset * side;
      const int64_t used = count == 0 ? 0 : (count - 1) * (side + 1) + 1;
      const Value flat = ops::pad(d.x(0), {low}, {side * side - low - used}, {side}, 0.0);
      return ops::reshape(flat, {side, side});
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[3]", "[3] offset=1", "[2] offset=-2", "[1]", "[0]", "[0] offset=1", "[0] offset=-2"},
    .rejects = {"1: [2,2]"},
};

}  // namespace trireme
