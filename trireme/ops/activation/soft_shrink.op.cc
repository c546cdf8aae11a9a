#include "trireme/ops/declare.h"

namespace trireme {

OpDecl soft_shrink_decl{
    .name = "soft_shrink",
    .doc = "Shrinks toward 0, y = x - t for x > t, x + t for x < -t, else 0, with t = threshold.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"threshold", 0.5, "half width of the zone that becomes 0; 0 or more"}},
    .coerce = Coerce::kNone,
    .rules = {"threshold is 0 or more"},
    .infer =
        [](Infer& i) {
          i.require(1, i.number("threshold") >= 0);
          infer_same(i);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const double t = d.number("threshold");
      const Value negative = ops::select(ops::compare(d.x(0), -t, "lt"), d.x(0) + t, 0.0);
      return ops::select(ops::compare(d.x(0), t, "gt"), d.x(0) - t, negative);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]", "[9] threshold=0.1"},
    .rejects = {"1: [3] threshold=-1.0"},
};

}  // namespace trireme
