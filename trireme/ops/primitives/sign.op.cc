#include "trireme/ops/declare.h"

namespace trireme {

OpDecl sign_decl{
    .name = "sign",
    .doc = "-1, 0 or 1 by the sign of each element; of NaN it is NaN, of -0 it is -0.",
    .tier = Tier::kMandatory,
    .kind = Kind::kElementwise,
    .inputs = {{"x", numbers}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback(ops::zero_gradient),
    .meaning = elementwise([]<class T>(T x) -> T {
      if (x > T(0)) return T(1);
      return x < T(0) ? static_cast<T>(-1) : x;
    }),
    .accuracy = exact,
    .cost = flops_per_element(1),
    .cases = {"[2,3]", "[]", "[0]", "[33]", "i32[33]:-2..2"},
    .rejects = {},
};

}  // namespace trireme
