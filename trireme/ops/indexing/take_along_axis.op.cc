#include "trireme/ops/declare.h"
#include "trireme/ops/linear_index.h"

namespace trireme {

OpDecl take_along_axis_decl{
    .name = "take_along_axis",
    .doc =
        "Picks one element per index along an axis, y[.., k, ..] = x[.., indices[.., k, ..], ..]; an "
        "index outside 0 .. size-1 is clamped.",
    .tier = Tier::kComposite,
    .kind = Kind::kIndexing,
    .inputs = {{"x", any_dtype}, {"indices", index_ints, {-1, 5}}},
    .outputs = {"y"},
    .attributes = {{"axis", 0, "axis the indices count along"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, "indices has the rank of x, and its sizes apart from the axis",
              "x has elements, or indices has none"},
    .infer =
        [](Infer& i) {
          const int axis = i.axis(1, i.integer("axis"), i.rank(0));
          i.require(2, i.rank(1) == i.rank(0) && i.shape(1).without(axis) == i.shape(0).without(axis));
          i.require(3, i.shape(0).elements() > 0 || i.shape(1).elements() == 0);
          i.output(i.dtype(0), i.shape(1));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Shape& shape = d.x(0).shape();
      const Value flat = ops::flat_along_axis(shape, d.x(1), d.integer("axis"), ops::OutOfRange::kClamp);
      return ops::gather(ops::reshape(d.x(0), {shape.elements()}), flat, 0);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[5,3] i32[2,3]:0..4", "[2,4] i64[2,3]:-2..6 axis=1", "[4] i32[3]:0..3 axis=-1", "[0,2] i32[0,2]:0..0"},
    .rejects = {"1: [3] i32[2]:0..1 axis=1", "2: [3,2] i32[2,3]:0..1", "3: [0,2] i32[1,2]:0..0"},
};

}  // namespace trireme
