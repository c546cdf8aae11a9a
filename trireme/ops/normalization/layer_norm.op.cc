#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl layer_norm_decl{
    .name = "layer_norm",
    .doc =
        "Normalises the last `axes` axes together, y = (x - mean) / sqrt(variance + epsilon) * weight + bias; "
        "statistics of 16-bit floats are f32, and weight and bias may have another float type than x.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}, {"weight", floats, {}, Arity::kOptional}, {"bias", floats, {}, Arity::kOptional}},
    .outputs = {"y"},
    .attributes = {{"axes", 1, "how many trailing axes are normalised together"},
                   {"epsilon", 1e-5, "added to the variance"}},
    .coerce = Coerce::kNone,
    .rules = {"axes is within 1 .. rank of x", "weight and bias have the shape of the normalised axes",
              "epsilon is not negative"},
    .infer =
        [](Infer& i) {
          const int64_t axes = i.integer("axes");
          i.require(1, axes >= 1 && axes <= i.rank(0));
          const Shape normal(i.shape(0).sizes().last(static_cast<size_t>(axes)));
          i.require(2, (!i.has(1) || i.shape(1) == normal) && (!i.has(2) || i.shape(2) == normal));
          i.require(3, i.number("epsilon") >= 0);
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = pullback([](Pullback& p) {
      // With n = (x - mean) r, r = 1 / sqrt(variance + epsilon) and g = dy weight:
      // dx = r (g - mean g - n mean(g n)), dweight = sum dy n, dbias = sum dy.
      const Value x = ops::widen(p.x(0)), dy = ops::widen(p.dy());
      const int rank = x.shape().rank(), first = rank - static_cast<int>(p.integer("axes"));
      const Ints axes = ops::axes_from(first, rank);
      const Value centred = x - ops::mean_kept(x, axes);
      const Value r = ops::rsqrt(ops::mean_kept(centred * centred, axes) + p.number("epsilon"));
      const Value n = centred * r;
      const Value g = p.has(1) ? dy * ops::widen(p.x(1)) : dy;
      p.dx(0) = ops::as_type(r * (g - ops::mean_kept(g, axes) - n * ops::mean_kept(g * n, axes)), p.x(0).dtype());
      if (p.has(1)) p.dx(1) = ops::as_type(ops::sum_to(dy * n, p.x(1).shape()), p.x(1).dtype());
      if (p.has(2)) p.dx(2) = ops::as_type(ops::sum_to(dy, p.x(2).shape()), p.x(2).dtype());
    }),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::widen(d.x(0));
      const int rank = x.shape().rank();
      const Ints axes = ops::axes_from(rank - static_cast<int>(d.integer("axes")), rank);
      const Value centred = x - ops::mean_kept(x, axes);
      Value y = centred * ops::rsqrt(ops::mean_kept(centred * centred, axes) + d.number("epsilon"));
      if (d.has(1)) y = y * ops::widen(d.x(1));
      if (d.has(2)) y = y + ops::widen(d.x(2));
      return ops::as_type(y, d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,5]", "[2,5] [5] [5]", "bf16[2,5] f32[5] f32[5]", "[2,5] _ [5]", "[3,2,4] [2,4] [2,4] axes=2",
              "[7] [7]", "[0,5] [5] [5]", "[2,3,5] [5] [5] epsilon=0.1"},
    .rejects = {"1: [2,5] axes=3", "1: [2,5] axes=0", "2: [2,5] [2]", "2: [2,5] [5] [4]", "3: [2,5] epsilon=-1.0"},
};

}  // namespace trireme
