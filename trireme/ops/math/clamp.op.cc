#include "trireme/ops/declare.h"

namespace trireme {

OpDecl clamp_decl{
    .name = "clamp",
    .doc = "Limits each element, y = min(max(x, low), high). The gradient passes inside and on the limits.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", numbers}},
    .outputs = {"y"},
    .attributes = {{"low", required_float, "least result; -inf for none"},
                   {"high", required_float, "largest result; inf for none"}},
    .coerce = Coerce::kNone,
    .rules = {"low is not above high"},
    .infer =
        [](Infer& i) {
          i.require(1, i.number("low") <= i.number("high"));
          infer_same(i);
        },
    .gradient = pullback([](Pullback& p) {
      const Value inside =
          ops::and_(ops::compare(p.x(0), p.number("low"), "ge"), ops::compare(p.x(0), p.number("high"), "le"));
      p.dx(0) = ops::select(inside, p.dy(), 0.0);
    }),
    .meaning = decompose(
        [](const Decompose& d) -> Values { return ops::min(ops::max(d.x(0), d.number("low")), d.number("high")); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] low=-0.5 high=1.0", "[] low=-0.5 high=1.0", "[0] low=-0.5 high=1.0", "[17] low=-0.5 high=1.0"},
    .rejects = {"1: [3] low=1.0 high=0.0"},
};

}  // namespace trireme
