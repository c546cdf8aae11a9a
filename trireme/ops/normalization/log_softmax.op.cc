#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl log_softmax_decl{
    .name = "log_softmax",
    .doc = "Logarithm of softmax along an axis, y = x - max x - log sum exp(x - max x).",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"axis", -1, "axis whose exponentials sum to 1"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange},
    .infer =
        [](Infer& i) {
          i.axis(1, i.integer("axis"), i.rank(0));
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = pullback([](Pullback& p) {
      // dx = dy - exp(y) sum dy
      const Value y = ops::widen(p.y()), dy = ops::widen(p.dy());
      const Ints axes = {normal_axis(p.integer("axis"), y.shape().rank())};
      p.dx(0) = ops::as_type(dy - ops::exp(y) * ops::sum_kept(dy, axes), p.y().dtype());
    }),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::widen(d.x(0));
      const Ints axes = {normal_axis(d.integer("axis"), x.shape().rank())};
      const Value shifted = x - ops::reduce_max(x, axes, true);
      return ops::as_type(shifted - ops::log(ops::sum_kept(ops::exp(shifted), axes)), d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[2,3] axis=0", "[3,2,5] axis=-2", "[1]", "[0,3]", "[33]:-50..50"},
    .rejects = {"1: [2,3] axis=2", "1: []"},
};

}  // namespace trireme
