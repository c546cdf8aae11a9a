#include "trireme/ops/declare.h"
#include "trireme/ops/loss/loss_rules.h"

namespace trireme {

OpDecl cross_entropy_decl{
    .name = "cross_entropy",
    .doc =
        "Cross entropy of class labels under softmax(logits), log sum_c exp(x[c]) - (1-s) x[label] - s mean_c x[c] "
        "with s = label_smoothing. Labels are within 0 .. C-1; rows labelled ignore_index give 0 and do not count "
        "in the mean (no row: 0). The loss of 16-bit logits is f32.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"logits", floats}, {"labels", index_ints, {0, 2}}},
    .outputs = {"loss"},
    .attributes = {{"axis", -1, "class axis of logits"},
                   {"label_smoothing", 0.0, "share of the target spread evenly over the classes"},
                   {"reduction", "mean", "mean, sum or none: what becomes of the rows' losses"},
                   {"ignore_index", -100, "label of rows that do not count"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, kLabelShape, kSomeClass, kReductionNames, "label_smoothing is within 0 .. 1"},
    .infer =
        [](Infer& i) {
          infer_labelled_loss(i);
          i.require(5, i.number("label_smoothing") >= 0 && i.number("label_smoothing") <= 1);
        },
    .gradient = pullback([](Pullback& p) {
      p.dx(0) = ops::cross_entropy_gradient(p.x(0), p.x(1), p.dy(), p.integer("axis"), p.number("label_smoothing"),
                                            p.string("reduction"), p.integer("ignore_index"));
    }),
    .meaning = decompose([](const Decompose& d) -> Values {
      const double s = d.number("label_smoothing");
      const LabelledRows r = labelled_rows(d.x(0), d.x(1), d.integer("axis"), d.integer("ignore_index"));
      const Value x = ops::widen(r.x);
      const Ints rows = {x.shape()[0]};
      Value each = ops::reshape(log_sum_exp_rows(x), rows) - ops::widen(picked(r)) * (1.0 - s);
      if (s > 0) each = each - ops::reshape(ops::mean_kept(x, {1}), rows) * s;
      return reduced_rows(each, r.counts, d.string("reduction"), d.x(1).shape());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[4,3] i32[4]:0..2", "[4,3] i64[4]:0..2 label_smoothing=0.1", "[2,3,5] i32[2,5]:0..2 axis=1",
              "[4,3] i32[4]:-1..2 ignore_index=-1 reduction=\"sum\"", "[2,5,3] i32[2,5]:-1..2 ignore_index=-1",
              "[4,3] i32[4]:0..2 reduction=\"none\" label_smoothing=0.2", "[3] i32[]:0..2", "[2,1] i32[2]:0..0",
              "[0,3] i32[0]:0..2 reduction=\"sum\"", "[70,130] i32[70]:-1..129 ignore_index=-1"},
    .rejects = {"1: [4,3] i32[4]:0..2 axis=2", "2: [4,3] i32[3]:0..2", "2: [4,3] i32[4,3]:0..1", "3: [4,0] i32[4]:0..0",
                "4: [4,3] i32[4]:0..2 reduction=\"average\"", "5: [4,3] i32[4]:0..2 label_smoothing=1.5"},
};

}  // namespace trireme
