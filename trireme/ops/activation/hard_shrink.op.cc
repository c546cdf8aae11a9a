#include "trireme/ops/declare.h"

namespace trireme {

OpDecl hard_shrink_decl{
    .name = "hard_shrink",
    .doc = "Sets small elements to 0, y = x for |x| > threshold, else 0.",
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
      return ops::select(ops::compare(ops::abs(d.x(0)), d.number("threshold"), "gt"), d.x(0), 0.0);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]", "[9] threshold=0.1"},
    .rejects = {"1: [3] threshold=-1.0"},
};

}  // namespace trireme
