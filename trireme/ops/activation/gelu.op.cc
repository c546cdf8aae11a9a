#include "trireme/ops/declare.h"

namespace trireme {

OpDecl gelu_decl{
    .name = "gelu",
    .doc =
        "Gaussian error linear unit, y = x Phi(x): approximate 'none' uses erf, 'tanh' uses y = x/2 (1 + "
        "tanh(sqrt(2/pi) (x + 0.044715 x^3))).",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"approximate", "none", "'none' or 'tanh'"}},
    .coerce = Coerce::kNone,
    .rules = {"approximate is 'none' or 'tanh'"},
    .infer =
        [](Infer& i) {
          i.require(1, i.string("approximate") == "none" || i.string("approximate") == "tanh");
          infer_same(i);
        },
    .gradient = pullback([](Pullback& p) { p.dx(0) = ops::gelu_gradient(p.x(0), p.dy(), p.string("approximate")); }),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value& x = d.x(0);
      if (d.string("approximate") == "none") return x * 0.5 * (1.0 + ops::erf(x * std::numbers::sqrt2 * 0.5));
      // Beyond 10 the tanh is 1 in every type, while x^3 would overflow in f16.
      const Value near = ops::min(ops::max(x, -10.0), 10.0);
      const Value inner = near * (1.0 + near * near * 0.044715) * std::sqrt(2.0 * std::numbers::inv_pi);
      return x * 0.5 * (1.0 + ops::tanh(inner));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]", "[2,3] approximate=\"tanh\"", "[17] approximate=\"tanh\""},
    .rejects = {"1: [3] approximate=\"fast\""},
};

}  // namespace trireme
