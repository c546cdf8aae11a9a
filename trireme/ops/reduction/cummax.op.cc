#include "trireme/ops/declare.h"
#include "trireme/ops/scan.h"

namespace trireme {

OpDecl cummax_decl{
    .name = "cummax",
    .doc = "Running maximum along an axis, y[i] = max(x[0], ..., x[i]); NaN wins.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", numbers}},
    .outputs = {"y"},
    .attributes = {{"axis", 0, "axis to accumulate along"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange},
    .infer =
        [](Infer& i) {
          i.axis(1, i.integer("axis"), i.rank(0));
          infer_same(i);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      return ops::prefix_scan(d.x(0), d.integer("axis"),
                              [](const Value& earlier, const Value& later) { return ops::max(earlier, later); });
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[5]", "[2,3] axis=1", "[3,2] axis=-2", "[1]", "[0]"},
    .rejects = {"1: [3] axis=1"},
};

}  // namespace trireme
