#include "trireme/ops/declare.h"

namespace trireme {

OpDecl argmax_decl{
    .name = "argmax",
    .doc = "Index of the largest element along an axis, the first among equals; NaN counts as largest.",
    .tier = Tier::kExpected,
    .kind = Kind::kReduction,
    .inputs = {{"x", numbers}},
    .outputs = {"index"},
    .attributes = {{"axis", -1, "axis to search along"}, {"keepdims", false, "keep the axis with size 1"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, "the axis has at least one element"},
    .infer = infer_arg_extreme,
    .gradient = none("the result is an index"),
    .meaning = evaluate([](Evaluation& e) { evaluate_arg_extreme(e, [](auto x, auto best) { return x > best; }); },
                        [](const Decompose& d) -> Values {
                          return ops::first_equal(d.x(0), ops::reduce_max(d.x(0), {d.integer("axis")}, true),
                                                  d.integer("axis"), d.flag("keepdims"));
                        }),
    .accuracy = exact,
    .cost = flops([](const OpView& v) { return static_cast<double>(v.x(0).shape().elements()); }),
    .cases = {"[5]", "[2,3] axis=0", "[2,3,4] axis=1 keepdims=true", "[0,3] axis=1", "[1]", "i32[3,9]:0..2",
              "[33,5] axis=0"},
    .rejects = {"1: [2,3] axis=2", "2: [2,0] axis=1"},
};

}  // namespace trireme
