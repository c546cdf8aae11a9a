#include "trireme/ops/declare.h"

namespace trireme {

namespace {
struct Remainder {
  template <class T>
  T operator()(T x, T w) const {
    if constexpr (std::is_floating_point_v<T>) return std::fmod(x, w);
    else if constexpr (std::is_signed_v<T>) return w == 0 || w == -1 ? 0 : x % w;
    else return w == 0 ? 0 : x % w;
  }
};
}  // namespace

OpDecl rem_decl{
    .name = "rem",
    .doc = "Remainder of x / w truncated toward zero, with the sign of x. Of integers x rem 0 is 0.",
    .tier = Tier::kMandatory,
    .kind = Kind::kElementwise,
    .inputs = {{"x", numbers, {-9.0, 9.0}}, {"w", same_as_first, {2.0, 5.0}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kBroadcast,
    .rules = {kEqualShapes},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) {
      p.dx(0) = p.dy();
      p.dx(1) = -(p.dy() * ops::round_even((p.x(0) - p.y()) / p.x(1)));  // y = x - w trunc(x / w)
    }),
    .meaning = elementwise(Remainder{}),
    .accuracy = exact,
    .cost = flops_per_element(10),
    .cases = {"[2,3] [2,3]", "[] []", "[0] [0]", "[33] [33]", "i32[33]:-9..9 i32[33]:-3..3"},
    .rejects = {"1: [2,3] [3,2]"},
};

}  // namespace trireme
