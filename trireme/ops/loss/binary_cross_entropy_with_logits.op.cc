#include "trireme/ops/declare.h"
#include "trireme/ops/loss/loss_rules.h"

namespace trireme {

OpDecl binary_cross_entropy_with_logits_decl{
    .name = "binary_cross_entropy_with_logits",
    .doc = "Cross entropy of targets t under logistic(x), max(x, 0) - x t + log(1 + exp(-|x|)).",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"logits", floats}, {"targets", same_as_first, {0.0, 1.0}}},
    .outputs = {"loss"},
    .attributes = {{"reduction", "mean", "mean, sum or none: what becomes of the single losses"}},
    .coerce = Coerce::kPromote,
    .rules = {kEqualShapes, kReductionNames},
    .infer = infer_paired_loss,
    .gradient = pullback([](Pullback& p) {
      const Value x = ops::widen(p.x(0)), t = ops::widen(p.x(1));
      const Value seed = loss_seed(p.dy(), p.string("reduction"), x.shape());
      p.dx(0) = ops::as_type((ops::logistic(x) - t) * seed, p.x(0).dtype());
      p.dx(1) = ops::as_type(-x * seed, p.x(1).dtype());
    }),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::widen(d.x(0)), t = ops::widen(d.x(1));
      const Value each = ops::max(x, 0.0) - x * t + ops::log1p(ops::exp(-ops::abs(x)));
      return reduced_loss(each, d.string("reduction"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3]", "[5]:-90..90 [5] reduction=\"sum\"", "[2,3] [2,3] reduction=\"none\"", "[] []",
              "[0] [0] reduction=\"sum\""},
    .rejects = {"1: [2,3] [3]", "2: [2] [2] reduction=\"average\""},
};

}  // namespace trireme
