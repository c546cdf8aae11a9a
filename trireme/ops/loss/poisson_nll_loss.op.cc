#include "trireme/ops/declare.h"
#include "trireme/ops/loss/loss_rules.h"

namespace trireme {

OpDecl poisson_nll_loss_decl{
    .name = "poisson_nll_loss",
    .doc =
        "Negative log likelihood of counts under a Poisson distribution of rate exp(x) (log_input) or x: rate - "
        "target log(rate); `full` adds the Stirling term t log t - t + log(2 pi t) / 2 where t > 1.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}, {"target", same_as_first}},
    .outputs = {"loss"},
    .attributes = {{"log_input", true, "x is the logarithm of the rate"},
                   {"full", false, "add the Stirling term"},
                   {"epsilon", 1e-8, "added to the rate before its logarithm"},
                   {"reduction", "mean", "mean, sum or none: what becomes of the single losses"}},
    .coerce = Coerce::kPromote,
    .rules = {kEqualShapes, kReductionNames},
    .infer = infer_paired_loss,
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::widen(d.x(0)), t = ops::widen(d.x(1));
      Value each = d.flag("log_input") ? ops::exp(x) - t * x : x - t * ops::log(x + d.number("epsilon"));
      if (d.flag("full")) {
        const Value large = ops::compare(t, 1.0, "gt");
        const Value safe = ops::select(large, t, 2.0);
        const Value stirling = safe * ops::log(safe) - safe + 0.5 * ops::log(safe * (2.0 * std::numbers::pi));
        each = each + ops::select(large, stirling, 0.0);
      }
      return reduced_loss(each, d.string("reduction"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3]", "[5] [5] reduction=\"sum\"", "[2,3] [2,3] reduction=\"none\"", "[] []",
              "[0] [0] reduction=\"sum\"", "[7]:0.5..2 [7]:0..3 log_input=false", "[7] [7]:0..5 full=true"},
    .rejects = {"1: [2,3] [3]", "2: [2] [2] reduction=\"average\""},
};

}  // namespace trireme
