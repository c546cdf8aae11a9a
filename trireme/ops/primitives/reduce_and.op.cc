#include "trireme/ops/declare.h"

namespace trireme {

namespace {
struct All {
  template <class T>
  T start(DType) const {
    return 1;
  }
  template <class T>
  T operator()(T all, T x) const {
    return static_cast<T>(all != T(0) && x != T(0));
  }
};
}  // namespace

OpDecl reduce_and_decl{
    .name = "reduce_and",
    .doc = "True where all elements over the axes are (all axes when the list is empty); of nothing: true.",
    .tier = Tier::kExpected,
    .kind = Kind::kReduction,
    .inputs = {{"x", bools}},
    .outputs = {"y"},
    .attributes = {{"axes", Ints{}, "axes to reduce; empty: all"}, {"keepdims", false, "keep them with size 1"}},
    .coerce = Coerce::kNone,
    .rules = {kAxesInRange},
    .infer = infer_reduction,
    .gradient = none("the result is bool"),
    .meaning = evaluate([](Evaluation& e) { evaluate_reduction(e, All{}); },
                        [](const Decompose& d) -> Values {
                          const Value least =
                              ops::reduce_min(ops::convert(d.x(0), i32), d.integers("axes"), d.flag("keepdims"));
                          return ops::compare(least, 0.0, "gt");
                        }),
    .accuracy = exact,
    .cost = flops([](const OpView& v) { return static_cast<double>(v.x(0).shape().elements()); }),
    .cases = {"[2,3]", "[2,2] axes=[1]", "[2,3] axes=[0] keepdims=true", "[2,3,2] axes=[0,-1]", "[]", "[0,3] axes=[0]"},
    .rejects = {"1: [2,3] axes=[2]", "1: [2,3] axes=[0,-2]"},
};

}  // namespace trireme
