#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl rms_norm_decl{
    .name = "rms_norm",
    .doc =
        "Scales the last `axes` axes together to unit root mean square, y = x / sqrt(mean x^2 + epsilon) * weight; "
        "statistics of 16-bit floats are f32, and weight may have another float type than x.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}, {"weight", floats, {}, Arity::kOptional}},
    .outputs = {"y"},
    .attributes = {{"axes", 1, "how many trailing axes are normalised together"},
                   {"epsilon", 1e-6, "added to the mean square"}},
    .coerce = Coerce::kNone,
    .rules = {"axes is within 1 .. rank of x", "weight has the shape of the normalised axes",
              "epsilon is not negative"},
    .infer =
        [](Infer& i) {
          const int64_t axes = i.integer("axes");
          i.require(1, axes >= 1 && axes <= i.rank(0));
          i.require(2, !i.has(1) || i.shape(1) == Shape(i.shape(0).sizes().last(static_cast<size_t>(axes))));
          i.require(3, i.number("epsilon") >= 0);
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = pullback([](Pullback& p) {
      // With n = x r, r = 1 / sqrt(mean x^2 + epsilon) and g = dy weight: dx = r (g - n mean(g n)), dweight = sum dy n.
      const Value x = ops::widen(p.x(0)), dy = ops::widen(p.dy());
      const int rank = x.shape().rank();
      const Ints axes = ops::axes_from(rank - static_cast<int>(p.integer("axes")), rank);
      const Value r = ops::rsqrt(ops::mean_kept(x * x, axes) + p.number("epsilon"));
      const Value n = x * r;
      const Value g = p.has(1) ? dy * ops::widen(p.x(1)) : dy;
      p.dx(0) = ops::as_type(r * (g - n * ops::mean_kept(g * n, axes)), p.x(0).dtype());
      if (p.has(1)) p.dx(1) = ops::as_type(ops::sum_to(dy * n, p.x(1).shape()), p.x(1).dtype());
    }),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::widen(d.x(0));
      const int rank = x.shape().rank();
      const Ints axes = ops::axes_from(rank - static_cast<int>(d.integer("axes")), rank);
      Value y = x * ops::rsqrt(ops::mean_kept(x * x, axes) + d.number("epsilon"));
      if (d.has(1)) y = y * ops::widen(d.x(1));
      return ops::as_type(y, d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,5]", "[2,5] [5]", "bf16[2,5] f32[5]", "[3,2,4] [2,4] axes=2", "[7] [7]", "[0,5] [5]",
              "[2,3,5] [5] epsilon=0.1"},
    .rejects = {"1: [2,5] axes=3", "1: [2,5] axes=0", "2: [2,5] [2]", "3: [2,5] epsilon=-1.0"},
};

}  // namespace trireme
