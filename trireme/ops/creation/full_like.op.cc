#include "trireme/ops/declare.h"

namespace trireme {

OpDecl full_like_decl{
    .name = "full_like",
    .doc = "A tensor in the shape and type of x whose every element is `value`.",
    .tier = Tier::kComposite,
    .kind = Kind::kSource,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"value", required_float, "the value"}},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback(ops::zero_gradient),
    .meaning = decompose([](const Decompose& d) -> Values { return ops::filled_like(d.x(0), d.number("value")); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] value=0.5", "[] value=1.0", "[0] value=2.0"},
    .rejects = {},
};

}  // namespace trireme
