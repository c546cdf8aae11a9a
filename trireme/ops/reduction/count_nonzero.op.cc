#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl count_nonzero_decl{
    .name = "count_nonzero",
    .doc = "Number of elements over axes that are not 0.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"axes", Ints{}, "axes to reduce; empty: all"}, {"keepdims", false, "keep them with size 1"}},
    .coerce = Coerce::kNone,
    .rules = {kAxesInRange},
    .infer = [](Infer& i) { i.output(i32, reduced_shape(i)); },
    .gradient = none("the result is a count"),
    .meaning = decompose([](const Decompose& d) -> Values {
      return ops::reduce_sum(ops::convert(ops::as_type(d.x(0), boolean), i32), d.integers("axes"), d.flag("keepdims"));
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[2,3] axes=[1]", "[2,3] axes=[0] keepdims=true", "[2,3,2] axes=[0,-1]", "[]", "i32[9]:0..1"},
    .rejects = {"1: [2,3] axes=[2]", "1: [2,3] axes=[0,-2]"},
};

}  // namespace trireme
