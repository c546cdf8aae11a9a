#include "trireme/ops/declare.h"

namespace trireme {

OpDecl embedding_decl{
    .name = "embedding",
    .doc =
        "Rows of a table, y[..., :] = weight[indices[...], :]; an index out of range is clamped. The row "
        "padding_index gets no gradient.",
    .tier = Tier::kComposite,
    .kind = Kind::kIndexing,
    .inputs = {{"weight", floats}, {"indices", index_ints, {-1, 5}}},
    .outputs = {"y"},
    .attributes = {{"padding_index", -1, "row that is not trained; -1: none"}},
    .coerce = Coerce::kNone,
    .rules = {"weight has rank 2", "weight has rows, or there are no indices",
              "padding_index is -1 or a row of weight"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) == 2);
          const int64_t rows = i.shape(0)[0];
          i.require(2, rows > 0 || i.shape(1).elements() == 0);
          i.require(3, i.integer("padding_index") >= -1 && i.integer("padding_index") < std::max<int64_t>(rows, 1));
          i.output(i.dtype(0), i.shape(1).inserted(i.rank(1), i.shape(0)[1]));
        },
    .gradient = pullback([](Pullback& p) {
      // The clamped index is the row that was read; scatter_add ignores -1.
      const double last = static_cast<double>(p.x(0).shape()[0] - 1),
                   skipped = static_cast<double>(p.integer("padding_index"));
      Value rows = ops::min(ops::max(p.x(1), 0.0), last);
      if (skipped >= 0) rows = ops::select(ops::compare(rows, skipped, "eq"), ops::filled_like(rows, -1.0), rows);
      p.dx(0) = ops::scatter_add(ops::filled_like(p.x(0), 0.0), rows, p.dy(), 0);
    }),
    .meaning = decompose([](const Decompose& d) -> Values { return ops::gather(d.x(0), d.x(1), 0); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[5,3] i32[4]:0..4", "[5,3] i64[2,2]:-2..6 padding_index=1 surrogate", "[3,2] i32[]:0..2",
              "[0,2] i32[0]:0..0"},
    .rejects = {"1: [3] i32[2]:0..1", "2: [0,3] i32[1]:0..0", "3: [3,2] i32[2]:0..1 padding_index=3"},
};

}  // namespace trireme
