#include "trireme/ops/declare.h"

namespace trireme {

OpDecl neg_decl{
    .name = "neg",
    .doc = "Negative of each element, y = -x. Integers wrap around.",
    .tier = Tier::kMandatory,
    .kind = Kind::kElementwise,
    .inputs = {{"x", numbers}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = -p.dy(); }),
    .meaning = elementwise([](auto x) {
      if constexpr (std::is_floating_point_v<decltype(x)>) return -x;
      else return static_cast<decltype(x)>(-static_cast<uint64_t>(x));
    }),
    .accuracy = exact,
    .cost = flops_per_element(1),
    .cases = {"[2,3]", "[]", "[0]", "[33]"},
    .rejects = {},
};

}  // namespace trireme
