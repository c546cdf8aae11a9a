#include "trireme/ops/declare.h"
#include "trireme/ops/scan.h"

namespace trireme {

OpDecl log_cumsum_exp_decl{
    .name = "log_cumsum_exp",
    .doc = "Running log-sum-exp along an axis, y[i] = log(e^x[0] + ... + e^x[i]), without overflow.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}},
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
                              [](const Value& earlier, const Value& later) { return ops::logaddexp(earlier, later); });
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[5]", "[2,3] axis=1", "[3,2] axis=-2", "[1]", "[0]"},
    .rejects = {"1: [3] axis=1"},
};

}  // namespace trireme
