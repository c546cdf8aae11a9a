#include "trireme/ops/declare.h"
#include "trireme/ops/loss/loss_rules.h"

namespace trireme {

OpDecl gaussian_nll_loss_decl{
    .name = "gaussian_nll_loss",
    .doc =
        "Negative log likelihood under a normal distribution, (log v + (x - target)^2 / v) / 2 with v = "
        "max(variance, epsilon); `full` adds log(2 pi) / 2. The variance takes no gradient below epsilon.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}, {"target", same_as_first}, {"variance", same_as_first, {0.2, 2.0}}},
    .outputs = {"loss"},
    .attributes = {{"full", false, "add the constant term"},
                   {"epsilon", 1e-6, "least variance"},
                   {"reduction", "mean", "mean, sum or none: what becomes of the single losses"}},
    .coerce = Coerce::kPromote,
    .rules = {kEqualShapes, kReductionNames},
    .infer = infer_paired_loss,
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::widen(d.x(0)), t = ops::widen(d.x(1)), v = ops::widen(d.x(2));
      const Value variance = ops::max(v, d.number("epsilon")), e = x - t;
      Value each = (ops::log(variance) + e * e / variance) * 0.5;
      if (d.flag("full")) each = each + 0.5 * std::log(2.0 * std::numbers::pi);
      return reduced_loss(each, d.string("reduction"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3] [2,3]", "[5] [5] [5] reduction=\"sum\"", "[2,3] [2,3] [2,3] reduction=\"none\"", "[] [] []",
              "[0] [0] [0] reduction=\"sum\"", "[7] [7] [7] full=true"},
    .rejects = {"1: [2,3] [2,3] [3]", "2: [2] [2] [2] reduction=\"average\""},
};

}  // namespace trireme
