#include "trireme/ops/declare.h"
#include "trireme/ops/sizes.h"

namespace trireme {

OpDecl repeat_interleave_decl{
    .name = "repeat_interleave",
    .doc = "Repeats each element along an axis: a b becomes a a b b.",
    .tier = Tier::kComposite,
    .kind = Kind::kMovement,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"repeats", required_int, "how often"}, {"axis", 0, "axis to repeat along"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, "repeats is 0 or more"},
    .infer =
        [](Infer& i) {
          const int axis = i.axis(1, i.integer("axis"), i.rank(0));
          i.require(2, i.integer("repeats") >= 0);
          i.output(i.dtype(0), i.shape(0).with(axis, bounded(Wide{i.shape(0)[axis]} * i.integer("repeats"))));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const auto [outer, size, inner] = around_axis(d.x(0).shape(), d.integer("axis"));
      const Value rows = ops::reshape(d.x(0), {outer * size, 1, inner});
      return ops::reshape(ops::broadcast_to(rows, {outer * size, d.integer("repeats"), inner}), d.y().shape().vector());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] repeats=2", "[2,3] repeats=3 axis=-1", "[4] repeats=0", "[0] repeats=2"},
    .rejects = {"1: [2] repeats=2 axis=1", "2: [2] repeats=-1"},
};

}  // namespace trireme
