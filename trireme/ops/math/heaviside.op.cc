#include "trireme/ops/declare.h"

namespace trireme {

OpDecl heaviside_decl{
    .name = "heaviside",
    .doc = "Step function, y = 0 for x < 0, 1 for x > 0, `at_zero` at 0.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"at_zero", 0.5, "value at 0"}},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback(ops::zero_gradient),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value one = ops::filled_like(d.x(0), 1.0);
      const Value at_zero = ops::filled_like(d.x(0), d.number("at_zero"));
      const Value step =
          ops::select(ops::compare(d.x(0), 0.0, "gt"), one, ops::select(ops::compare(d.x(0), 0.0, "eq"), at_zero, 0.0));
      return ops::select(ops::compare(d.x(0), d.x(0), "ne"), d.x(0), step);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[]", "[0]", "[17]"},
    .rejects = {},
};

}  // namespace trireme
