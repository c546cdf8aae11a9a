#include "trireme/ops/declare.h"
#include "trireme/ops/loss/loss_rules.h"

namespace trireme {

OpDecl kl_divergence_decl{
    .name = "kl_divergence",
    .doc =
        "Kullback-Leibler divergence of targets t from log-probabilities x, t (log t - x), 0 where t is 0; with "
        "log_target the targets are logarithms too, exp(t) (t - x).",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}, {"target", same_as_first, {0.1, 1.0}}},
    .outputs = {"loss"},
    .attributes = {{"log_target", false, "targets are logarithms"},
                   {"reduction", "mean",
                    "mean (over elements), batchmean (sum divided by the first axis), sum or none"}},
    .coerce = Coerce::kPromote,
    .rules = {kEqualShapes, "reduction is mean, batchmean, sum or none, and batchmean needs rank 1 or more"},
    .infer =
        [](Infer& i) {
          i.require(1, i.shape(0) == i.shape(1));
          const std::string& reduction = i.string("reduction");
          i.require(2, is_reduction(reduction) || (reduction == "batchmean" && i.rank(0) >= 1));
          i.output(ops::wide_type(i.dtype(0)), reduction == "none" ? i.shape(0) : Shape{});
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::widen(d.x(0)), t = ops::widen(d.x(1));
      Value each;
      if (d.flag("log_target")) {
        each = ops::exp(t) * (t - x);
      } else {
        const Value zero = ops::filled_like(t, 0.0), positive = ops::compare(t, zero, "gt");
        const Value log_t = ops::log(ops::select(positive, t, 1.0));
        each = ops::select(positive, t * (log_t - x), zero);
      }
      const std::string& reduction = d.string("reduction");
      if (reduction != "batchmean") return reduced_loss(each, reduction);
      return ops::reduce_sum(each) * (1.0 / static_cast<double>(x.shape()[0]));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3]", "[2,3] [2,3] reduction=\"batchmean\"", "[5] [5] reduction=\"sum\" log_target=true",
              "[2,3] [2,3] reduction=\"none\"", "[] []", "[0] [0] reduction=\"sum\""},
    .rejects = {"1: [2,3] [3]", "2: [2] [2] reduction=\"average\"", "2: [] [] reduction=\"batchmean\""},
};

}  // namespace trireme
