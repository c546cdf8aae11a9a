#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl softmax_decl{
    .name = "softmax",
    .doc = "Softmax along an axis, y = exp(x - max x) / sum exp(x - max x); 16-bit floats are computed in f32.",
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
    .gradient = pullback([](Pullback& p) {
      // dx = y (dy - sum y dy)
      const Value y = ops::widen(p.y()), dy = ops::widen(p.dy());
      const Ints axes = {normal_axis(p.integer("axis"), y.shape().rank())};
      p.dx(0) = ops::as_type(y * (dy - ops::sum_kept(y * dy, axes)), p.y().dtype());
    }),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::widen(d.x(0));
      const Ints axes = {normal_axis(d.integer("axis"), x.shape().rank())};
      const Value e = ops::exp(x - ops::reduce_max(x, axes, true));
      return ops::as_type(e / ops::sum_kept(e, axes), d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[2,3] axis=0", "[3,2,5] axis=-2", "[1]", "[0,3]", "[33]:-50..50"},
    .rejects = {"1: [2,3] axis=2", "1: []"},
};

}  // namespace trireme
