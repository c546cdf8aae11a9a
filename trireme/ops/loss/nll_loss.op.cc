#include "trireme/ops/declare.h"
#include "trireme/ops/loss/loss_rules.h"

namespace trireme {

OpDecl nll_loss_decl{
    .name = "nll_loss",
    .doc =
        "Negative log likelihood of class labels, -log_probabilities[label]. Labels are within 0 .. C-1; rows "
        "labelled ignore_index give 0 and do not count in the mean (no row: 0).",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"log_probabilities", floats}, {"labels", index_ints, {0, 2}}},
    .outputs = {"loss"},
    .attributes = {{"axis", -1, "class axis of log_probabilities"},
                   {"reduction", "mean", "mean, sum or none: what becomes of the rows' losses"},
                   {"ignore_index", -100, "label of rows that do not count"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, kLabelShape, kSomeClass, kReductionNames},
    .infer = infer_labelled_loss,
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const LabelledRows r = labelled_rows(d.x(0), d.x(1), d.integer("axis"), d.integer("ignore_index"));
      return reduced_rows(-ops::widen(picked(r)), r.counts, d.string("reduction"), d.x(1).shape());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[4,3] i32[4]:0..2", "[2,3,5] i64[2,5]:0..2 axis=1",
              "[4,3] i32[4]:-1..2 ignore_index=-1 reduction=\"sum\"", "[4,3] i32[4]:0..2 reduction=\"none\"",
              "[3] i32[]:0..2", "[0,3] i32[0]:0..2 reduction=\"sum\""},
    .rejects = {"1: [4,3] i32[4]:0..2 axis=2", "2: [4,3] i32[3]:0..2", "3: [4,0] i32[4]:0..0",
                "4: [4,3] i32[4]:0..2 reduction=\"average\""},
};

}  // namespace trireme
