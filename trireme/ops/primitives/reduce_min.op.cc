#include "trireme/ops/declare.h"

namespace trireme {

OpDecl reduce_min_decl{
    .name = "reduce_min",
    .doc =
        "Smallest element over axes (all axes when the list is empty); NaN wins. Of nothing: +inf, or the highest "
        "integer.",
    .tier = Tier::kMandatory,
    .kind = Kind::kReduction,
    .inputs = {{"x", numbers}},
    .outputs = {"y"},
    .attributes = {{"axes", Ints{}, "axes to reduce; empty: all"}, {"keepdims", false, "keep them with size 1"}},
    .coerce = Coerce::kNone,
    .rules = {kAxesInRange},
    .infer = infer_reduction,
    .gradient = pullback(ops::share_of_reduced_extreme),
    .meaning = evaluate([](Evaluation& e) { evaluate_reduction(e, Smallest{}); }),
    .accuracy = exact,
    .cost = flops([](const OpView& v) { return static_cast<double>(v.x(0).shape().elements()); }),
    .cases = {"[2,3]", "[2,3] axes=[1]", "[2,3] axes=[0] keepdims=true", "[2,3,4] axes=[0,-1]", "[]", "[0,3] axes=[0]",
              "[65,33] axes=[-1]"},
    .rejects = {"1: [2,3] axes=[2]", "1: [2,3] axes=[0,-2]"},
};

}  // namespace trireme
