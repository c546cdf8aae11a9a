#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl norm_decl{
    .name = "norm",
    .doc =
        "Vector norm over axes: p = 1 sum |x|, p = 2 sqrt(sum x^2), p = inf max |x|. The gradient is 0 "
        "where x is 0.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"p", 2.0, "1, 2 or inf"},
                   {"axes", Ints{}, "axes to reduce; empty: all"},
                   {"keepdims", false, "keep them with size 1"}},
    .coerce = Coerce::kNone,
    .rules = {kAxesInRange, "p is 1, 2 or inf"},
    .infer =
        [](Infer& i) {
          const double p = i.number("p");
          i.require(2, p == 1.0 || p == 2.0 || p == std::numeric_limits<double>::infinity());
          infer_reduction(i);
        },
    .gradient = pullback([](Pullback& p) {
      const Value& x = p.x(0);
      const Ints& axes = p.integers("axes");
      const auto spread = [&](const Value& v) { return ops::restore_axes(v, axes, x.shape()); };
      if (p.number("p") == 1.0) {
        p.dx(0) = spread(p.dy()) * ops::sign(x);
      } else if (p.number("p") == 2.0) {
        p.dx(0) = spread(p.dy()) * (x / spread(ops::select(ops::compare(p.y(), 0.0, "gt"), p.y(), 1.0)));
      } else {  // shared equally among the largest
        const Value largest = ops::compare(ops::abs(x), spread(p.y()), "eq");
        const Value ties = ops::reduce_sum(ops::convert(largest, x.dtype()), axes, p.flag("keepdims"));
        p.dx(0) = ops::select(largest, spread(p.dy() / ops::max(ties, 1.0)) * ops::sign(x), 0.0);
      }
    }),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::as_type(d.x(0), ops::wide_type(d.y().dtype()));
      const Ints& axes = d.integers("axes");
      const bool keepdims = d.flag("keepdims");
      Value y;
      if (d.number("p") == 1.0) y = ops::reduce_sum(ops::abs(x), axes, keepdims);
      else if (d.number("p") == 2.0) y = ops::sqrt(ops::reduce_sum(x * x, axes, keepdims));
      else y = ops::max(ops::reduce_max(ops::abs(x), axes, keepdims), 0.0);  // of nothing: 0
      return ops::as_type(y, d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[2,3] axes=[1]", "[2,3] axes=[0] keepdims=true", "[2,3,2] axes=[0,-1]", "[]", "[2,3] p=1.0",
              "[2,3] p=inf axes=[1]", "[0]"},
    .rejects = {"1: [2,3] axes=[2]", "1: [2,3] axes=[0,-2]", "2: [3] p=3.0"},
};

}  // namespace trireme
