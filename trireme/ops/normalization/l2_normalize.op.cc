#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl l2_normalize_decl{
    .name = "l2_normalize",
    .doc = "Scales to unit Euclidean length along an axis, y = x / max(sqrt(sum x^2), epsilon).",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"axis", -1, "axis of the vectors"}, {"epsilon", 1e-12, "shortest length that is divided by"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, "epsilon is at least 1e-18: its square must be a normal f32 number"},
    .infer =
        [](Infer& i) {
          i.axis(1, i.integer("axis"), i.rank(0));
          i.require(2, i.number("epsilon") >= 1e-18);
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::widen(d.x(0));
      const Value energy = ops::sum_kept(x * x, {normal_axis(d.integer("axis"), x.shape().rank())});
      const double least = d.number("epsilon") * d.number("epsilon");
      return ops::as_type(x * ops::rsqrt(ops::max(energy, least)), d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[2,3] axis=0", "[3,2,5] axis=1", "[7]", "[0,3]"},
    .rejects = {"1: [2,3] axis=2", "2: [2,3] epsilon=0.0"},
};

}  // namespace trireme
