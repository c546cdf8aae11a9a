#include "trireme/ops/declare.h"

namespace trireme {

OpDecl softplus_decl{
    .name = "softplus",
    .doc = "Smooth rectifier, y = log(1 + e^(beta x)) / beta, without overflow.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"beta", 1.0, "sharpness; above 0"}},
    .coerce = Coerce::kNone,
    .rules = {"beta is above 0"},
    .infer =
        [](Infer& i) {
          i.require(1, i.number("beta") > 0);
          infer_same(i);
        },
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() * ops::logistic(p.x(0) * p.number("beta")); }),
    .meaning = decompose([](const Decompose& d) -> Values {
      // log(1 + e^z) = max(z, 0) + log1p(e^-|z|)
      const double beta = d.number("beta");
      const Value z = beta == 1.0 ? d.x(0) : d.x(0) * beta;
      const Value y = ops::max(z, 0.0) + ops::log1p(ops::exp(-ops::abs(z)));
      return beta == 1.0 ? y : y / beta;
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]", "[9] beta=3.0"},
    .rejects = {"1: [3] beta=0.0"},
};

}  // namespace trireme
