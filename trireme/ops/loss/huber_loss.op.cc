#include "trireme/ops/declare.h"
#include "trireme/ops/loss/loss_rules.h"

namespace trireme {

OpDecl huber_loss_decl{
    .name = "huber_loss",
    .doc =
        "Squared error that grows linearly from delta on: with e = |x - target|, e^2 / 2 where e < delta, else "
        "delta (e - delta / 2).",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}, {"target", same_as_first}},
    .outputs = {"loss"},
    .attributes = {{"delta", 1.0, "error at which the square ends"},
                   {"reduction", "mean", "mean, sum or none: what becomes of the single losses"}},
    .coerce = Coerce::kPromote,
    .rules = {kEqualShapes, kReductionNames, "delta is positive"},
    .infer =
        [](Infer& i) {
          infer_paired_loss(i);
          i.require(3, i.number("delta") > 0);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const double delta = d.number("delta");
      const Value e = ops::abs(ops::widen(d.x(0)) - ops::widen(d.x(1)));
      const Value near = ops::compare(e, delta, "lt");
      return reduced_loss(ops::select(near, e * e * 0.5, (e - 0.5 * delta) * delta), d.string("reduction"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [2,3]", "[5] [5] reduction=\"sum\"", "[2,3] [2,3] reduction=\"none\"", "[] []",
              "[0] [0] reduction=\"sum\"", "[7] [7] delta=0.5"},
    .rejects = {"1: [2,3] [3]", "2: [2] [2] reduction=\"average\"", "3: [2] [2] delta=0.0"},
};

}  // namespace trireme
