#include "trireme/ops/declare.h"

namespace trireme {

OpDecl threshold_decl{
    .name = "threshold",
    .doc = "Replaces small elements, y = x for x > threshold, else value.",
    .tier = Tier::kComposite,
    .kind = Kind::kElementwise,
    .inputs = {{"x", numbers}},
    .outputs = {"y"},
    .attributes = {{"threshold", required_float, "elements up to this are replaced"},
                   {"value", required_float, "by this"}},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      return ops::select(ops::compare(d.x(0), d.number("threshold"), "gt"), d.x(0), d.number("value"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] threshold=0.5 value=-1.0", "[] threshold=0.5 value=-1.0", "[0] threshold=0.5 value=-1.0",
              "[17] threshold=0.5 value=-1.0"},
    .rejects = {},
};

}  // namespace trireme
