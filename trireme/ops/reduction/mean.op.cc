#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl mean_decl{
    .name = "mean",
    .doc = "Mean over axes, y = sum_a x / n; integers and bool give f32. 16-bit floats are summed in f32.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"axes", Ints{}, "axes to reduce; empty: all"}, {"keepdims", false, "keep them with size 1"}},
    .coerce = Coerce::kNone,
    .rules = {kAxesInRange},
    .infer =
        [](Infer& i) {
          const DType type = is_float(i.dtype(0)) ? i.dtype(0) : f32;
          i.output(type, reduced_shape(i));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::as_type(d.x(0), ops::wide_type(d.y().dtype()));
      const double count = ops::folded(x, ops::normal_axes(d.integers("axes"), x.shape().rank()));
      const Value sum = ops::reduce_sum(x, d.integers("axes"), d.flag("keepdims"));
      return ops::as_type(sum / count, d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[2,3] axes=[1]", "[2,3] axes=[0] keepdims=true", "[2,3,2] axes=[0,-1]", "[]", "bool[2,3]",
              "[0,3] axes=[0]"},
    .rejects = {"1: [2,3] axes=[2]", "1: [2,3] axes=[0,-2]"},
};

}  // namespace trireme
