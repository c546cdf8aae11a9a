#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl variance_decl{
    .name = "variance",
    .doc = "Variance over axes, y = sum_a (x - mean)^2 / (n - correction), in two passes.",
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
      // 2 (x - mean) / (n - correction)
      const Ints& axes = p.integers("axes");
      const double count = ops::folded(p.x(0), ops::normal_axes(axes, p.x(0).shape().rank()));
      const double freedom = std::max(0.0, count - static_cast<double>(p.integer("correction")));
      const Value centred = p.x(0) - ops::mean(p.x(0), axes, true);
      p.dx(0) = ops::restore_axes(p.dy() * (2.0 / freedom), axes, p.x(0).shape()) * centred;
    }),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::as_type(d.x(0), ops::wide_type(d.y().dtype()));
      const Ints& axes = d.integers("axes");
      const double count = ops::folded(x, ops::normal_axes(axes, x.shape().rank()));
      const Value centred = x - ops::reduce_sum(x, axes, true) / count;
      const Value sum = ops::reduce_sum(centred * centred, axes, d.flag("keepdims"));
      const double freedom = std::max(0.0, count - static_cast<double>(d.integer("correction")));
      return ops::as_type(sum / freedom, d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[2,3] axes=[1]", "[2,3] axes=[0] keepdims=true", "[2,3,2] axes=[0,-1]", "[2,3] correction=0",
              "[] correction=0"},
    .rejects = {"1: [2,3] axes=[2]", "1: [2,3] axes=[0,-2]"},
};

}  // namespace trireme
