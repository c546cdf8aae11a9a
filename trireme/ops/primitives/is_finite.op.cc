#include "trireme/ops/declare.h"

namespace trireme {

OpDecl is_finite_decl{
    .name = "is_finite",
    .doc = "True where an element is neither infinite nor NaN.",
    .tier = Tier::kExpected,
    .kind = Kind::kElementwise,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = [](Infer& i) { i.output(boolean, i.shape(0)); },
    .gradient = none("the result is bool"),
    .meaning = elementwise(
        [](double x, const Evaluation& e) -> int64_t { return std::isfinite(round_real(e.x(0).type.dtype, x)); },
        [](const Decompose& d) -> Values {
          const Value& x = d.x(0);
          return ops::compare(ops::abs(x), highest(x.dtype()), "le");
        }),
    .accuracy = exact,
    .cost = flops_per_element(2),
    .cases = {"[2,3]", "[]", "[0]", "[33]"},
    .rejects = {},
};

}  // namespace trireme
