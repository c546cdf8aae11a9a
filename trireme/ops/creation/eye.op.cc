#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl eye_decl{
    .name = "eye",
    .doc = "Matrix with ones on a diagonal, y[i, j] = 1 where j - i = diagonal, else 0.",
    .tier = Tier::kComposite,
    .kind = Kind::kSource,
    .inputs = {},
    .outputs = {"y"},
    .attributes = {{"rows", required_int, "rows"},
                   {"columns", -1, "columns; -1: as many as rows"},
                   {"diagonal", 0, "0 the main one, above 0 to the right"},
                   {"dtype", f32, "element type"}},
    .coerce = Coerce::kNone,
    .rules = {"rows is 0 or more, columns is -1, 0 or more"},
    .infer =
        [](Infer& i) {
          const int64_t rows = i.integer("rows"), columns = i.integer("columns");
          i.require(1, rows >= 0 && columns >= -1);
          i.output(i.type("dtype"), {rows, columns == -1 ? rows : columns});
        },
    .gradient = none("it has no inputs"),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Ints shape = d.y().shape().vector();
      const Value distance = ops::iota(shape, i32, 1) - ops::iota(shape, i32, 0);
      return ops::as_type(ops::compare(distance, static_cast<double>(d.integer("diagonal")), "eq"), d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"rows=3", "rows=2 columns=4 diagonal=1", "rows=3 columns=2 diagonal=-1 dtype=i32", "rows=0",
              "rows=2 dtype=bool"},
    .rejects = {"1: rows=-1", "1: rows=2 columns=-2"},
};

}  // namespace trireme
