#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl standard_deviation_decl{
    .name = "standard_deviation",
    .doc = "Standard deviation over axes, y = sqrt(variance). The gradient is 0 where y is 0.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"correction", 1, "subtracted from the number of elements n; 1 makes it unbiased"},
                   {"axes", Ints{}, "axes to reduce; empty: all"},
                   {"keepdims", false, "keep them with size 1"}},
    .coerce = Coerce::kNone,
    .rules = {kAxesInRange},
    .infer = infer_reduction,
    .gradient = pullback([](Pullback& p) {
      // (x - mean) / ((n - correction) y)
      const Ints& axes = p.integers("axes");
      const double count = ops::folded(p.x(0), ops::normal_axes(axes, p.x(0).shape().rank()));
      const double freedom = std::max(0.0, count - static_cast<double>(p.integer("correction")));
      const Value spread = ops::compare(p.y(), 0.0, "gt");
      const Value scale = ops::select(spread, p.dy() / (ops::select(spread, p.y(), 1.0) * freedom), 0.0);
      p.dx(0) = ops::restore_axes(scale, axes, p.x(0).shape()) * (p.x(0) - ops::mean(p.x(0), axes, true));
    }),
    .meaning = decompose([](const Decompose& d) -> Values {
      return ops::sqrt(ops::variance(d.x(0), d.integer("correction"), d.integers("axes"), d.flag("keepdims")));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[2,3] axes=[1]", "[2,3] axes=[0] keepdims=true", "[2,3,2] axes=[0,-1]", "[2,3] correction=0",
              "[] correction=0"},
    .rejects = {"1: [2,3] axes=[2]", "1: [2,3] axes=[0,-2]"},
};

}  // namespace trireme
