#include "trireme/ops/declare.h"

namespace trireme {

OpDecl softmin_decl{
    .name = "softmin",
    .doc = "Softmax of the negated input along an axis, y = softmax(-x).",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"axis", -1, "axis whose elements sum to 1"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange},
    .infer =
        [](Infer& i) {
          i.axis(1, i.integer("axis"), i.rank(0));
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values { return ops::softmax(-d.x(0), d.integer("axis")); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[2,3] axis=0", "[1]", "[0,3]"},
    .rejects = {"1: [2,3] axis=2", "1: []"},
};

}  // namespace trireme
