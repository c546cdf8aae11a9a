#include "trireme/ops/declare.h"
#include "trireme/ops/loss/loss_rules.h"

namespace trireme {

OpDecl binary_cross_entropy_decl{
    .name = "binary_cross_entropy",
    .doc =
        "Cross entropy of probabilities, -(t log p + (1-t) log(1-p)); logarithms are cut at -100 and the gradient's "
        "divisor p (1-p) at 1e-12, so that p = 0 and p = 1 stay finite.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"probabilities", floats, {0.05, 0.95}}, {"targets", same_as_first, {0.0, 1.0}}},
    .outputs = {"loss"},
    .attributes = {{"reduction", "mean", "mean, sum or none: what becomes of the single losses"}},
    .coerce = Coerce::kPromote,
    .rules = {kEqualShapes, kReductionNames},
    .infer = infer_paired_loss,
    .gradient = pullback([](Pullback& q) {
      const Value p = ops::widen(q.x(0)), t = ops::widen(q.x(1));
      const Value seed = loss_seed(q.dy(), q.string("reduction"), p.shape());
      q.dx(0) = ops::as_type((p - t) / ops::max(p * (1.0 - p), 1e-12) * seed, q.x(0).dtype());
      q.dx(1) = ops::as_type((ops::max(ops::log1p(-p), -100.0) - ops::max(ops::log(p), -100.0)) * seed, q.x(1).dtype());
    }),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value p = ops::widen(d.x(0)), t = ops::widen(d.x(1));
      const Value each = -(t * ops::max(ops::log(p), -100.0) + (1.0 - t) * ops::max(ops::log1p(-p), -100.0));
      return reduced_loss(each, d.string("reduction"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3]", "[5] [5] reduction=\"sum\"", "[2,3] [2,3] reduction=\"none\"", "[] []",
              "[0] [0] reduction=\"sum\""},
    .rejects = {"1: [2,3] [3]", "2: [2] [2] reduction=\"average\""},
};

}  // namespace trireme
