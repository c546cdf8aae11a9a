#include "trireme/ops/declare.h"

namespace trireme {

// Written with other nodes than gelu (the logistic function for tanh, erfc for erf), so that nothing but x has to be
// kept from the forward pass: computing it again costs less than writing and reading it.
OpDecl gelu_gradient_decl{
    .name = "gelu_gradient",
    .doc =
        "Gradient of gelu from x and dy: with approximate 'none' dx = dy (Phi(x) + x phi(x)), where phi is the density "
        "of "
        "the normal distribution; with 'tanh' dx = dy (s + x s (1 - s) 2 u'), where s = 1 / (1 + e^(-2 u)) and u = "
        "sqrt(2/pi) (x + 0.044715 x^3).",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}, {"dy", same_as_first}},
    .outputs = {"dx"},
    .attributes = {{"approximate", "none", "'none' or 'tanh'"}},
    .coerce = Coerce::kNone,
    .rules = {"approximate is 'none' or 'tanh'", "dy has the shape of x"},
    .infer =
        [](Infer& i) {
          i.require(1, i.string("approximate") == "none" || i.string("approximate") == "tanh");
          i.require(2, i.shape(1) == i.shape(0));
          infer_same(i);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value &x = d.x(0), &dy = d.x(1);
      if (d.string("approximate") == "none") {
        const Value near = ops::max(ops::min(x, 40.0), -40.0);  // the density is 0 beyond; keeps infinity times 0 away
        const Value density = ops::exp(near * near * -0.5) * (std::numbers::inv_sqrtpi / std::numbers::sqrt2);
        return dy * (ops::erfc(x * (-0.5 * std::numbers::sqrt2)) * 0.5 + near * density);
      }
      const double factor = 2.0 * std::sqrt(2.0 * std::numbers::inv_pi);
      const Value near = ops::max(ops::min(x, 10.0), -10.0);  // as in gelu
      const Value square = near * near;
      const Value s = ops::logistic(near * (square * (0.044715 * factor) + factor));
      const Value slope = square * (3.0 * 0.044715 * factor) + factor;
      return dy * (s + near * (s * (1.0 - s)) * slope);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3]", "[] []", "[0] [0]", "[17] [17]", "[2,3] [2,3] approximate=\"tanh\"",
              "[17] [17] approximate=\"tanh\""},
    .rejects = {"1: [3] [3] approximate=\"fast\"", "2: [3] [4]"},
};

}  // namespace trireme
