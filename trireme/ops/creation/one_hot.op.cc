#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl one_hot_decl{
    .name = "one_hot",
    .doc =
        "A 1 in the place an index names, y[..., c] = 1 where c = indices[...], else 0; all 0 for an "
        "index outside 0 .. classes-1.",
    .tier = Tier::kComposite,
    .kind = Kind::kIndexing,
    .inputs = {{"indices", index_ints, {-1, 4}}},
    .outputs = {"y"},
    .attributes = {{"classes", required_int, "size of the new last axis"}, {"dtype", f32, "element type"}},
    .coerce = Coerce::kNone,
    .rules = {"classes is 0 or more"},
    .infer =
        [](Infer& i) {
          i.require(1, i.integer("classes") >= 0);
          i.output(i.type("dtype"), i.shape(0).inserted(i.rank(0), i.integer("classes")));
        },
    .gradient = pullback(ops::zero_gradient),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Ints shape = d.y().shape().vector();
      const int last = d.x(0).shape().rank();
      const Value column = ops::reshape(d.x(0), d.x(0).shape().inserted(last, 1).vector());
      const Value place = ops::iota(shape, d.x(0).dtype(), last);
      return ops::as_type(ops::compare(ops::broadcast_to(column, shape), place, "eq"), d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[3] classes=4", "[2,2] classes=3 dtype=bool", "[] classes=2 dtype=i32", "[0] classes=3",
              "[3] classes=0"},
    .rejects = {"1: [3] classes=-1"},
};

}  // namespace trireme
