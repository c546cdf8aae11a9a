#include "trireme/ops/declare.h"
#include "trireme/ops/loss/loss_rules.h"

namespace trireme {

OpDecl triplet_margin_loss_decl{
    .name = "triplet_margin_loss",
    .doc =
        "Loss of distances between rows [..., D]: max(0, |anchor - positive| - |anchor - negative| + margin), "
        "Euclidean, with epsilon added to each difference; swap takes |positive - negative| instead of |anchor - "
        "negative| where it is shorter.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"anchor", floats}, {"positive", same_as_first}, {"negative", same_as_first}},
    .outputs = {"loss"},
    .attributes = {{"margin", 1.0, "by how much the negative must be farther"},
                   {"swap", false, "use the shorter of the two distances to the negative"},
                   {"epsilon", 1e-6, "added to each difference"},
                   {"reduction", "mean", "mean, sum or none: what becomes of the single losses"}},
    .coerce = Coerce::kPromote,
    .rules = {"anchor, positive and negative have equal shapes of rank 1 or more", kReductionNames},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) >= 1 && i.shape(0) == i.shape(1) && i.shape(0) == i.shape(2));
          infer_loss(i, 2, i.shape(0).without(i.rank(0) - 1));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value anchor = ops::widen(d.x(0)), positive = ops::widen(d.x(1)), negative = ops::widen(d.x(2));
      const auto distance = [&](const Value& a, const Value& b) {
        const Value difference = a - b + d.number("epsilon");
        return ops::sqrt(ops::reduce_sum(difference * difference, {a.shape().rank() - 1}, false));
      };
      Value far = distance(anchor, negative);
      if (d.flag("swap")) far = ops::min(far, distance(positive, negative));
      const Value each = distance(anchor, positive) - far + d.number("margin");
      return reduced_loss(ops::max(each, 0.0), d.string("reduction"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[4,3] [4,3] [4,3]", "[5,3] [5,3] [5,3] swap=true margin=0.5 reduction=\"none\"",
              "[3] [3] [3] margin=4.0", "[0,3] [0,3] [0,3] reduction=\"sum\""},
    .rejects = {"1: [4,3] [4,3] [4,2]", "2: [4,3] [4,3] [4,3] reduction=\"average\""},
};

}  // namespace trireme
