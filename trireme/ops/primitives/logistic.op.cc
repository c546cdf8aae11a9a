#include "trireme/ops/declare.h"

namespace trireme {

OpDecl logistic_decl{
    .name = "logistic",
    .doc = "Logistic function of each element, y = 1 / (1 + exp(-x)).",
    .tier = Tier::kExpected,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats, {-5.0, 5.0}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() * (p.y() * (1.0 - p.y())); }),
    .meaning = elementwise(
        [](double x) {
          const double z = std::exp(-std::fabs(x));
          return (x < 0 ? z : 1.0) / (1.0 + z);
        },
        [](const Decompose& d) -> Values {
          // exp of a negative number only: nothing overflows and the far left keeps its digits.
          const Value z = ops::exp(-ops::abs(d.x(0)));
          return ops::select(ops::compare(d.x(0), 0.0, "lt"), z, 1.0) / (1.0 + z);
        }),
    .accuracy = ulps(12),
    .cost = flops_per_element(14),
    .cases = {"[2,3]", "[]", "[0]", "[33]", "f32[33]:-80..80"},
    .rejects = {},
};

}  // namespace trireme
