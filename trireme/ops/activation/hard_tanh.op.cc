#include "trireme/ops/declare.h"

namespace trireme {

OpDecl hard_tanh_decl{
    .name = "hard_tanh",
    .doc = "Piecewise linear tanh, y = min(max(x, low), high). The gradient at the two corners is 0.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"low", -1.0, "least result"}, {"high", 1.0, "largest result"}},
    .coerce = Coerce::kNone,
    .rules = {"low is below high"},
    .infer =
        [](Infer& i) {
          i.require(1, i.number("low") < i.number("high"));
          infer_same(i);
        },
    .gradient = pullback([](Pullback& p) {
      const Value inside =
          ops::and_(ops::compare(p.x(0), p.number("low"), "gt"), ops::compare(p.x(0), p.number("high"), "lt"));
      p.dx(0) = ops::select(inside, p.dy(), 0.0);
    }),
    .meaning = decompose(
        [](const Decompose& d) -> Values { return ops::min(ops::max(d.x(0), d.number("low")), d.number("high")); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]", "[9] low=-0.5 high=1.5"},
    .rejects = {"1: [3] low=1.0 high=1.0"},
};

}  // namespace trireme
