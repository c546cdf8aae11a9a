#include "trireme/ops/declare.h"
#include "trireme/ops/loss/loss_rules.h"

namespace trireme {

OpDecl soft_margin_loss_decl{
    .name = "soft_margin_loss",
    .doc = "Logistic loss of scores x and targets -1 or 1, log(1 + exp(-target x)).",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}, {"target", same_as_first}},
    .outputs = {"loss"},
    .attributes = {{"reduction", "mean", "mean, sum or none: what becomes of the single losses"}},
    .coerce = Coerce::kPromote,
    .rules = {kEqualShapes, kReductionNames},
    .infer = infer_paired_loss,
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value z = -(ops::widen(d.x(0)) * ops::widen(d.x(1)));
      return reduced_loss(ops::max(z, 0.0) + ops::log1p(ops::exp(-ops::abs(z))), d.string("reduction"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3]", "[5] [5] reduction=\"sum\"", "[2,3] [2,3] reduction=\"none\"", "[] []",
              "[0] [0] reduction=\"sum\""},
    .rejects = {"1: [2,3] [3]", "2: [2] [2] reduction=\"average\""},
};

}  // namespace trireme
