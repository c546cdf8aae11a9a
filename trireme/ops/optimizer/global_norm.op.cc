#include "trireme/ops/declare.h"
#include "trireme/ops/optimizer/step_rules.h"

namespace trireme {

OpDecl global_norm_decl{
    .name = "global_norm",
    .doc = "Euclidean length of all tensors together, sqrt(sum_k sum x_k^2), as f32 (f64 when the first is f64).",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"xs", floats, {}, Arity::kVariadic}},
    .outputs = {"norm"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = [](Infer& i) { i.output(ops::wide_type(i.dtype(0)), Shape{}); },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      Value sum;
      for (int k = 0; k < d.inputs(); ++k) {
        const Value x = ops::as_type(d.x(k), d.y().dtype());
        const Value square = ops::reduce_sum(x * x);
        sum = sum ? sum + square : square;
      }
      return ops::sqrt(sum);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3]", "[2,3] [5]", "[2] f32[3] []", "[1]"},
    .rejects = {},
};

}  // namespace trireme
