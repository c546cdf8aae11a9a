#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl batch_norm_decl{
    .name = "batch_norm",
    .doc =
        "Batch normalisation as in training: per channel (axis 1) y = (x - mean) / sqrt(variance + epsilon) * weight "
        "+ bias, with the batch's mean and biased variance as further outputs, [C], f32 for 16-bit x.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}, {"weight", floats, {}, Arity::kOptional}, {"bias", floats, {}, Arity::kOptional}},
    .outputs = {"y", "mean", "variance"},
    .attributes = {{"epsilon", 1e-5, "added to the variance"}},
    .coerce = Coerce::kNone,
    .rules = {"x has rank 2 or more: [N, C, ...]", "weight and bias have shape [C]", "epsilon is not negative",
              "each channel has at least one element"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) >= 2);
          const int64_t channels = i.shape(0)[1];
          const Shape vector{channels};
          i.require(2, (!i.has(1) || i.shape(1) == vector) && (!i.has(2) || i.shape(2) == vector));
          i.require(3, i.number("epsilon") >= 0);
          i.require(4, i.shape(0).elements() > 0 || channels == 0);
          i.output(i.dtype(0), i.shape(0));
          i.output(ops::wide_type(i.dtype(0)), vector);
          i.output(ops::wide_type(i.dtype(0)), vector);
        },
    .gradient = pullback([](Pullback& p) {
      // With n = (x - mean) r and r = 1 / sqrt(variance + epsilon), per channel of M elements:
      // dx = weight r (dy - mean dy - n mean(dy n)) + dmean / M + dvariance 2 (x - mean) / M.
      const Value x = ops::widen(p.x(0)), dy = ops::widen(p.dy());
      const int rank = x.shape().rank();
      const Ints axes = ops::axes_but(1, rank);
      const double share = 1.0 / ops::folded(x, axes);
      const Value r = ops::rsqrt(ops::along_axis(p.y(2), 1, rank) + p.number("epsilon"));
      const Value centred = x - ops::along_axis(p.y(1), 1, rank);
      const Value n = centred * r;
      const Value sum_dy = ops::sum_kept(dy, axes), sum_dy_n = ops::sum_kept(dy * n, axes);
      const Value scale = p.has(1) ? r * ops::along_axis(ops::widen(p.x(1)), 1, rank) : r;
      Value dx = scale * (dy - sum_dy * share - n * (sum_dy_n * share));
      if (p.has_dy(1)) dx = dx + ops::along_axis(p.dy(1), 1, rank) * share;
      if (p.has_dy(2)) dx = dx + centred * (ops::along_axis(p.dy(2), 1, rank) * (2.0 * share));
      p.dx(0) = ops::as_type(dx, p.x(0).dtype());
      if (p.has(1)) p.dx(1) = ops::as_type(ops::reshape(sum_dy_n, p.x(1).shape().vector()), p.x(1).dtype());
      if (p.has(2)) p.dx(2) = ops::as_type(ops::reshape(sum_dy, p.x(2).shape().vector()), p.x(2).dtype());
    }),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::widen(d.x(0));
      const int rank = x.shape().rank();
      const Ints axes = ops::axes_but(1, rank);
      const Value mean = ops::mean_kept(x, axes);
      const Value centred = x - mean;
      const Value variance = ops::mean_kept(centred * centred, axes);
      const Value r = ops::rsqrt(variance + d.number("epsilon"));
      Value y = centred * (d.has(1) ? r * ops::along_axis(ops::widen(d.x(1)), 1, rank) : r);
      if (d.has(2)) y = y + ops::along_axis(ops::widen(d.x(2)), 1, rank);
      const Ints vector = d.y(1).shape().vector();
      return {ops::as_type(y, d.y().dtype()), ops::reshape(mean, vector), ops::reshape(variance, vector)};
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[4,3]", "[4,3] [3] [3]", "bf16[4,3] f32[3] f32[3]", "[2,3,2,5] [3] [3]", "[3,1,4] _ [1]",
              "[3,2,1] [2] [2] epsilon=0.1", "[2,0,3] [0] [0]"},
    .rejects = {"1: [3]", "2: [4,3] [4]", "2: [4,3] [3] [4]", "3: [4,3] epsilon=-1.0", "4: [0,3]"},
};

}  // namespace trireme
