#include "trireme/ops/declare.h"
#include "trireme/ops/loss/loss_rules.h"

namespace trireme {

OpDecl focal_loss_decl{
    .name = "focal_loss",
    .doc =
        "Focal loss of logits x and targets t in 0 .. 1: with p = logistic(x), binary cross entropy times (1 - "
        "p_t)^gamma, p_t = t p + (1-t)(1-p), weighted alpha t + (1-alpha)(1-t) where alpha is not negative.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"logits", floats}, {"targets", same_as_first, {0.0, 1.0}}},
    .outputs = {"loss"},
    .attributes = {{"alpha", 0.25, "weight of the class t = 1; negative: no weights"},
                   {"gamma", 2.0, "how strongly easy examples are played down"},
                   {"reduction", "mean", "mean, sum or none: what becomes of the single losses"}},
    .coerce = Coerce::kPromote,
    .rules = {kEqualShapes, kReductionNames, "gamma is not negative and alpha is at most 1"},
    .infer =
        [](Infer& i) {
          infer_paired_loss(i);
          i.require(3, i.number("gamma") >= 0 && i.number("alpha") <= 1);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::widen(d.x(0)), t = ops::widen(d.x(1));
      const Value entropy = ops::max(x, 0.0) - x * t + ops::log1p(ops::exp(-ops::abs(x)));
      const Value miss = t * ops::logistic(-x) + (1.0 - t) * ops::logistic(x);  // 1 - p_t without cancellation
      const double gamma = d.number("gamma"), alpha = d.number("alpha");
      Value each = entropy;
      if (gamma == 2.0) each = each * miss * miss;
      else if (gamma > 0) each = each * ops::pow(miss, ops::scalar(x.dtype(), gamma));
      if (alpha >= 0) each = each * (t * alpha + (1.0 - t) * (1.0 - alpha));
      return reduced_loss(each, d.string("reduction"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3]", "[5] [5] reduction=\"sum\"", "[2,3] [2,3] reduction=\"none\"", "[] []",
              "[0] [0] reduction=\"sum\"", "[7] [7] alpha=-1.0 gamma=1.5", "[7] [7] gamma=0.0"},
    .rejects = {"1: [2,3] [3]", "2: [2] [2] reduction=\"average\"", "3: [2] [2] gamma=-1.0"},
};

}  // namespace trireme
