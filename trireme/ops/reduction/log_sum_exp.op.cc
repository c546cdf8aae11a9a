#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl log_sum_exp_decl{
    .name = "log_sum_exp",
    .doc = "Logarithm of a sum of exponentials over axes, y = log(sum_a e^x), without overflow.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"axes", Ints{}, "axes to reduce; empty: all"}, {"keepdims", false, "keep them with size 1"}},
    .coerce = Coerce::kNone,
    .rules = {kAxesInRange},
    .infer = infer_reduction,
    .gradient = pullback([](Pullback& p) {
      // The softmax e^(x - y); 0 where y is infinite.
      const Ints& axes = p.integers("axes");
      const Value finite = ops::is_finite(p.y());
      const Value y = ops::restore_axes(ops::select(finite, p.y(), 0.0), axes, p.x(0).shape());
      const Value dy = ops::restore_axes(ops::select(finite, p.dy(), 0.0), axes, p.x(0).shape());
      p.dx(0) = dy * ops::exp(ops::select(ops::restore_axes(finite, axes, p.x(0).shape()), p.x(0) - y, 0.0));
    }),
    .meaning = decompose([](const Decompose& d) -> Values {
      // The largest element is taken out: log(sum e^(x - m)) + m. An infinite or NaN m is left in, where it does no
      // harm.
      const Value x = ops::as_type(d.x(0), ops::wide_type(d.y().dtype()));
      const Ints& axes = d.integers("axes");
      const Value largest = ops::reduce_max(x, axes, true);
      const Value shift = ops::select(ops::is_finite(largest), largest, 0.0);
      const Value sum = ops::reduce_sum(ops::exp(x - shift), axes, d.flag("keepdims"));
      return ops::as_type(ops::log(sum) + ops::reshape(shift, sum.shape().vector()), d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[2,3] axes=[1]", "[2,3] axes=[0] keepdims=true", "[2,3,2] axes=[0,-1]", "[]", "[0,3] axes=[0]"},
    .rejects = {"1: [2,3] axes=[2]", "1: [2,3] axes=[0,-2]"},
};

}  // namespace trireme
