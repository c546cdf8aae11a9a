#include "trireme/ops/declare.h"

namespace trireme {

namespace {
struct Any {
  template <class T>
  T start(DType) const {
    return 0;
  }
  template <class T>
  T operator()(T any, T x) const {
    return static_cast<T>(any != T(0) || x != T(0));
  }
};
}  // namespace

OpDecl reduce_or_decl{
    .name = "reduce_or",
    .doc = "True where any element over the axes is (all axes when the list is empty); of nothing: false.",
    .tier = Tier::kExpected,
    .kind = Kind::kReduction,
    .inputs = {{"x", bools}},
    .outputs = {"y"},
    .attributes = {{"axes", Ints{}, "axes to reduce; empty: all"}, {"keepdims", false, "keep them with size 1"}},
    .coerce = Coerce::kNone,
    .rules = {kAxesInRange},
    .infer = infer_reduction,
    .gradient = none("the result is bool"),
    .meaning = evaluate([](Evaluation& e) { evaluate_reduction(e, Any{}); },
                        [](const Decompose& d) -> Values {
                          const Value most =
                              ops::reduce_max(ops::convert(d.x(0), i32), d.integers("axes"), d.flag("keepdims"));
                          return ops::compare(most, 0.0, "gt");
                        }),
    .accuracy = exact,
    .cost = flops([](const OpView& v) { return static_cast<double>(v.x(0).shape().elements()); }),
    .cases = {"[2,3]", "[2,2] axes=[1]", "[2,3] axes=[0] keepdims=true", "[2,3,2] axes=[0,-1]", "[]", "[0,3] axes=[0]"},
    .rejects = {"1: [2,3] axes=[2]", "1: [2,3] axes=[0,-2]"},
};

}  // namespace trireme
