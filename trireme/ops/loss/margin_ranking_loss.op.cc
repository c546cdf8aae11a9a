#include "trireme/ops/declare.h"
#include "trireme/ops/loss/loss_rules.h"

namespace trireme {

OpDecl margin_ranking_loss_decl{
    .name = "margin_ranking_loss",
    .doc =
        "Loss of pairs of scores of which x shall be larger where target is 1 and smaller where it is -1, max(0, "
        "margin - target (x - w)).",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}, {"w", same_as_first}, {"target", same_as_first}},
    .outputs = {"loss"},
    .attributes = {{"margin", 0.0, "difference from which there is no loss"},
                   {"reduction", "mean", "mean, sum or none: what becomes of the single losses"}},
    .coerce = Coerce::kPromote,
    .rules = {kEqualShapes, kReductionNames},
    .infer = infer_paired_loss,
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::widen(d.x(0)), w = ops::widen(d.x(1)), t = ops::widen(d.x(2));
      return reduced_loss(ops::max(d.number("margin") - t * (x - w), ops::filled_like(x, 0.0)), d.string("reduction"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3] [2,3]", "[5] [5] [5] reduction=\"sum\"", "[2,3] [2,3] [2,3] reduction=\"none\"", "[] [] []",
              "[0] [0] [0] reduction=\"sum\"", "[7] [7] [7] margin=0.5"},
    .rejects = {"1: [2,3] [2,3] [3]", "2: [2] [2] [2] reduction=\"average\""},
};

}  // namespace trireme
