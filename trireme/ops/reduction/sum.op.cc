#include "trireme/ops/declare.h"

namespace trireme {

OpDecl sum_decl{
    .name = "sum",
    .doc = "Sum over axes, y = sum_a x; bool counts true elements as i32.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"axes", Ints{}, "axes to sum over; empty: all"}, {"keepdims", false, "keep them with size 1"}},
    .coerce = Coerce::kNone,
    .rules = {kAxesInRange},
    .infer = [](Infer& i) { i.output(i.dtype(0) == boolean ? i32 : i.dtype(0), reduced_shape(i)); },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = d.x(0).dtype() == boolean ? ops::convert(d.x(0), i32) : d.x(0);
      return ops::reduce_sum(x, d.integers("axes"), d.flag("keepdims"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[2,3] axes=[1]", "[2,3] axes=[0] keepdims=true", "[0]"},
    .rejects = {"1: [2,3] axes=[2]"},
};

}  // namespace trireme
