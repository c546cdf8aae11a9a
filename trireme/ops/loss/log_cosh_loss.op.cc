#include "trireme/ops/declare.h"
#include "trireme/ops/loss/loss_rules.h"

namespace trireme {

OpDecl log_cosh_loss_decl{
    .name = "log_cosh_loss",
    .doc =
        "Smooth absolute error, log(cosh(x - target)): d^2 / 2 for a small difference d, |d| - log 2 for a large one.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}, {"target", same_as_first}},
    .outputs = {"loss"},
    .attributes = {{"reduction", "mean", "mean, sum or none: what becomes of the single losses"}},
    .coerce = Coerce::kPromote,
    .rules = {kEqualShapes, kReductionNames},
    .infer = infer_paired_loss,
    // tanh, not the decomposition's two terms: they cancel near zero.
    .gradient = pullback([](Pullback& p) {
      const std::string& reduction = p.string("reduction");
      const Value d = ops::widen(p.x(0)) - ops::widen(p.x(1));
      const Value g = ops::tanh(d) * loss_seed(p.dy(), reduction, d.shape());
      p.dx(0) = ops::as_type(g, p.x(0).dtype());
      p.dx(1) = ops::as_type(-g, p.x(1).dtype());
    }),
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value size = ops::abs(ops::widen(d.x(0)) - ops::widen(d.x(1)));
      return reduced_loss(size + (ops::log1p(ops::exp(size * -2.0)) - 0.6931471805599453), d.string("reduction"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3]", "[5] [5] reduction=\"sum\"", "[2,3] [2,3] reduction=\"none\"", "[] []",
              "[0] [0] reduction=\"sum\""},
    .rejects = {"1: [2,3] [3]", "2: [2] [2] reduction=\"average\""},
};

}  // namespace trireme
