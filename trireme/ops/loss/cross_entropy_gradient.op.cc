#include "trireme/ops/declare.h"
#include "trireme/ops/loss/loss_rules.h"

namespace trireme {

OpDecl cross_entropy_gradient_decl{
    .name = "cross_entropy_gradient",
    .doc =
        "Gradient of cross_entropy with respect to its logits, from dy, that of the loss: softmax(logits) - (1-s) "
        "one_hot(label) - s/C times the row's part of dy; 0 for rows labelled ignore_index.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"logits", floats}, {"labels", index_ints, {0, 2}}, {"dy", floats}},
    .outputs = {"dlogits"},
    .attributes = {{"axis", -1, "class axis of logits"},
                   {"label_smoothing", 0.0, "share of the target spread evenly over the classes"},
                   {"reduction", "mean", "mean, sum or none: what became of the rows' losses"},
                   {"ignore_index", -100, "label of rows that do not count"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, kLabelShape, kSomeClass, kReductionNames, "label_smoothing is within 0 .. 1",
              "dy has the shape of the loss"},
    .infer =
        [](Infer& i) {
          const int axis = i.axis(1, i.integer("axis"), i.rank(0));
          const Shape rows = i.shape(0).without(axis);
          i.require(2, i.shape(1) == rows, "labels are class numbers, not one-hot vectors");
          i.require(3, i.shape(0)[axis] >= 1);
          i.require(4, is_reduction(i.string("reduction")));
          i.require(5, i.number("label_smoothing") >= 0 && i.number("label_smoothing") <= 1);
          i.require(6, i.shape(2) == (i.string("reduction") == "none" ? rows : Shape{}));
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const int64_t axis = d.integer("axis");
      const double s = d.number("label_smoothing");
      const LabelledRows r = labelled_rows(d.x(0), d.x(1), axis, d.integer("ignore_index"));
      const Value x = ops::widen(r.x);
      const Value seed =
          ops::reshape(row_seed(ops::as_type(d.x(2), x.dtype()), r.counts, d.string("reduction")), {x.shape()[0], 1});
      const double even = s / static_cast<double>(x.shape()[1]);
      const Value target = ops::select(at_label(r), ops::filled_like(x, 1.0 - s + even), ops::filled_like(x, even));
      return from_rows(ops::as_type((ops::softmax(x, 1) - target) * seed, d.x(0).dtype()), d.x(0).shape(), axis);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[4,3] i32[4]:0..2 []", "[4,3] i64[4]:0..2 [] label_smoothing=0.1", "[2,3,5] i32[2,5]:0..2 [] axis=1",
              "[4,3] i32[4]:-1..2 [] ignore_index=-1 reduction=\"sum\"", "[2,5,3] i32[2,5]:-1..2 [] ignore_index=-1",
              "[4,3] i32[4]:0..2 [4] reduction=\"none\" label_smoothing=0.2", "[3] i32[]:0..2 []",
              "[2,1] i32[2]:0..0 []", "[0,3] i32[0]:0..2 [] reduction=\"sum\"",
              "[70,130] i32[70]:-1..129 [] ignore_index=-1"},
    .rejects = {"1: [4,3] i32[4]:0..2 [] axis=2", "2: [4,3] i32[3]:0..2 []", "3: [4,0] i32[4]:0..0 []",
                "4: [4,3] i32[4]:0..2 [] reduction=\"average\"", "5: [4,3] i32[4]:0..2 [] label_smoothing=1.5",
                "6: [4,3] i32[4]:0..2 [4]"},
};

}  // namespace trireme
