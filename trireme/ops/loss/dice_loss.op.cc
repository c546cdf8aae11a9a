#include "trireme/ops/declare.h"
#include "trireme/ops/loss/loss_rules.h"

namespace trireme {

OpDecl dice_loss_decl{
    .name = "dice_loss",
    .doc =
        "One minus the Dice overlap of probabilities p and targets t, [N, ...]: 1 - (2 sum p t + smooth) / (sum p "
        "+ sum t + smooth), over all axes but the first.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"probabilities", floats, {0.0, 1.0}}, {"targets", same_as_first, {0.0, 1.0}}},
    .outputs = {"loss"},
    .attributes = {{"smooth", 1.0, "added to numerator and denominator"},
                   {"reduction", "mean", "mean, sum or none: what becomes of the samples' losses"}},
    .coerce = Coerce::kPromote,
    .rules = {"probabilities and targets have equal shapes of rank 2 or more", kReductionNames},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) >= 2 && i.shape(0) == i.shape(1));
          infer_loss(i, 2, Shape{i.shape(0)[0]});
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value p = ops::widen(d.x(0)), t = ops::widen(d.x(1));
      const double smooth = d.number("smooth");
      const Ints axes = ops::axes_from(1, p.shape().rank());
      const auto total = [&](const Value& v) { return ops::reduce_sum(v, axes, false); };
      const Value each = 1.0 - (total(p * t) * 2.0 + smooth) / (total(p) + total(t) + smooth);
      return reduced_loss(each, d.string("reduction"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3]", "[2,1,3,4] [2,1,3,4] reduction=\"sum\"", "[3,2] [3,2] reduction=\"none\" smooth=0.1",
              "[0,3] [0,3] reduction=\"sum\""},
    .rejects = {"1: [3] [3]", "1: [2,3] [3,2]", "2: [2,3] [2,3] reduction=\"average\""},
};

}  // namespace trireme
