#include "trireme/ops/declare.h"
#include "trireme/ops/linear_index.h"

namespace trireme {

OpDecl gather_nd_decl{
    .name = "gather_nd",
    .doc =
        "Picks slices of x by coordinates of its leading axes, y[...] = x[indices[..., 0], indices[..., "
        "1], ...]; coordinates out of range are clamped.",
    .tier = Tier::kComposite,
    .kind = Kind::kIndexing,
    .inputs = {{"x", any_dtype}, {"indices", index_ints, {-1, 5}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {"indices has rank 1 or more, and its last size is 1 .. rank of x",
              "x has elements, or there are no coordinates"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(1) >= 1);
          const int64_t depth = i.shape(1)[i.rank(1) - 1];
          i.require(1, depth >= 1 && depth <= i.rank(0));
          Ints sizes(i.shape(1).begin(), i.shape(1).end() - 1);
          sizes.insert(sizes.end(), i.shape(0).begin() + depth, i.shape(0).end());
          i.require(2, i.shape(0).elements() > 0 || i.shape(1).elements() == 0);
          i.output(i.dtype(0), sizes);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Shape& shape = d.x(0).shape();
      const int64_t depth = d.x(1).shape()[d.x(1).shape().rank() - 1];
      Ints rows(shape.begin() + depth, shape.end());  // the axes named by coordinates become one
      rows.insert(rows.begin(), Shape(shape.sizes().first(static_cast<size_t>(depth))).elements());
      return ops::gather(ops::reshape(d.x(0), rows), ops::flat_of_coordinates(shape, d.x(1), ops::OutOfRange::kClamp),
                         0);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[3,4] i32[5,2]:0..2", "[3,4] i64[2,1]:-2..4", "[2,3,2] i32[2,2,2]:0..1", "[3] i32[1]:0..2",
              "[3] i32[0,1]:0..2"},
    .rejects = {"1: [3] i32[]:0..0", "1: [3] i32[2,2]:0..0", "2: [0] i32[1,1]:0..0"},
};

}  // namespace trireme
