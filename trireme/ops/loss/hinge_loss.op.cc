#include "trireme/ops/declare.h"
#include "trireme/ops/loss/loss_rules.h"

namespace trireme {

OpDecl hinge_loss_decl{
    .name = "hinge_loss",
    .doc = "Hinge of scores x and targets -1 or 1, max(0, margin - target x).",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}, {"target", same_as_first}},
    .outputs = {"loss"},
    .attributes = {{"margin", 1.0, "score from which there is no loss"},
                   {"reduction", "mean", "mean, sum or none: what becomes of the single losses"}},
    .coerce = Coerce::kPromote,
    .rules = {kEqualShapes, kReductionNames},
    .infer = infer_paired_loss,
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::widen(d.x(0)), t = ops::widen(d.x(1));
      return reduced_loss(ops::max(d.number("margin") - t * x, ops::filled_like(x, 0.0)), d.string("reduction"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3]", "[5] [5] reduction=\"sum\"", "[2,3] [2,3] reduction=\"none\"", "[] []",
              "[0] [0] reduction=\"sum\"", "[7] [7] margin=0.5"},
    .rejects = {"1: [2,3] [3]", "2: [2] [2] reduction=\"average\""},
};

}  // namespace trireme
