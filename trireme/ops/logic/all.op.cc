#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl all_decl{
    .name = "all",
    .doc = "True where every element over the axes is not 0; true of nothing.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"axes", Ints{}, "axes to reduce; empty: all"}, {"keepdims", false, "keep them with size 1"}},
    .coerce = Coerce::kNone,
    .rules = {kAxesInRange},
    .infer = [](Infer& i) { i.output(boolean, reduced_shape(i)); },
    .gradient = none("the result is bool"),
    .meaning = decompose([](const Decompose& d) -> Values {
      return ops::reduce_and(ops::as_type(d.x(0), boolean), d.integers("axes"), d.flag("keepdims"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "bool[2,3] axes=[1]", "bool[2,3] axes=[0] keepdims=true", "[0]", "[]"},
    .rejects = {"1: [2,3] axes=[2]"},
};

}  // namespace trireme
