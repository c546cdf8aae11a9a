#include "trireme/ops/declare.h"

namespace trireme {

OpDecl abs_decl{
    .name = "abs",
    .doc = "Magnitude of each element, y = |x|. The lowest integer stays as it is.",
    .tier = Tier::kMandatory,
    .kind = Kind::kElementwise,
    .inputs = {{"x", numbers}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy() * ops::sign(p.x(0)); }),
    .meaning = elementwise([]<class T>(T x) -> T {
      if constexpr (std::is_floating_point_v<T>) return std::fabs(x);
      else if constexpr (std::is_signed_v<T>) return x < 0 ? static_cast<T>(-static_cast<uint64_t>(x)) : x;
      else return x;
    }),
    .accuracy = exact,
    .cost = flops_per_element(1),
    .cases = {"[2,3]", "[]", "[0]", "[33]"},
    .rejects = {},
};

}  // namespace trireme
