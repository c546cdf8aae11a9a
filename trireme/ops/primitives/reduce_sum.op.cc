#include "trireme/ops/declare.h"

namespace trireme {

namespace {
struct Sum {
  template <class T>
  T start(DType) const {
    return 0;
  }
  template <class T>
  T operator()(T sum, T x) const {
    return wrapping([](auto a, auto b) { return a + b; }, sum, x);
  }
};
}  // namespace

OpDecl reduce_sum_decl{
    .name = "reduce_sum",
    .doc = "Sum over axes (all axes when the list is empty); 16-bit floats accumulate in f32, integers wrap.",
    .tier = Tier::kBringUp,
    .kind = Kind::kReduction,
    .inputs = {{"x", numbers}},
    .outputs = {"y"},
    .attributes = {{"axes", Ints{}, "axes to sum over; empty: all"}, {"keepdims", false, "keep them with size 1"}},
    .coerce = Coerce::kNone,
    .rules = {kAxesInRange},
    .infer = infer_reduction,
    .gradient = pullback([](Pullback& p) { p.dx(0) = ops::restore_axes(p.dy(), p.integers("axes"), p.x(0).shape()); }),
    .meaning = evaluate([](Evaluation& e) { evaluate_reduction(e, Sum{}); }),
    .accuracy = accumulated,
    .cost = flops([](const OpView& v) { return static_cast<double>(v.x(0).shape().elements()); }),
    .cases = {"[2,3]", "[2,3] axes=[1]", "[2,3] axes=[0] keepdims=true", "[2,3,4] axes=[0,-1]", "[] ", "[0,3] axes=[0]",
              "[65,129] axes=[-1]", "[129,65] axes=[0]"},
    .rejects = {"1: [2,3] axes=[2]", "1: [2,3] axes=[0,-2]"},
};

}  // namespace trireme
