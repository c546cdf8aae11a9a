#include "trireme/ops/declare.h"
#include "trireme/ops/linear_index.h"

namespace trireme {

OpDecl put_along_axis_decl{
    .name = "put_along_axis",
    .doc =
        "A copy of x with one element per index replaced, y[.., indices[.., k, ..], ..] = updates[.., k, "
        "..]; of equal indices the last wins, those outside 0 .. size-1 are ignored.",
    .tier = Tier::kComposite,
    .kind = Kind::kIndexing,
    .inputs = {{"x", any_dtype}, {"indices", index_ints, {-1, 5}}, {"updates", same_as_first}},
    .outputs = {"y"},
    .attributes = {{"axis", 0, "axis the indices count along"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, "indices has the rank of x, and its sizes apart from the axis",
              "updates has the shape of indices"},
    .infer =
        [](Infer& i) {
          const int axis = i.axis(1, i.integer("axis"), i.rank(0));
          i.require(2, i.rank(1) == i.rank(0) && i.shape(1).without(axis) == i.shape(0).without(axis));
          i.require(3, i.shape(2) == i.shape(1));
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Shape& shape = d.x(0).shape();
      const Value flat = ops::flat_along_axis(shape, d.x(1), d.integer("axis"), ops::OutOfRange::kMinusOne);
      const Value y = ops::scatter_set(ops::reshape(d.x(0), {shape.elements()}), flat, d.x(2), 0);
      return ops::reshape(y, shape.vector());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[5,3] i32[2,3]:0..4 [2,3]", "[2,4] i64[2,3]:-2..6 [2,3] axis=1", "[4] i32[3]:0..3 [3] axis=-1",
              "[0,2] i32[1,2]:0..0 [1,2]"},
    .rejects = {"1: [3] i32[2]:0..1 [2] axis=1", "2: [3,2] i32[2,3]:0..1 [2,3]", "3: [3,2] i32[1,2]:0..1 [2,2]"},
};

}  // namespace trireme
