#include "trireme/ops/declare.h"

namespace trireme {

namespace {
struct Divide {
  template <class T>
  T operator()(T x, T w) const {
    if constexpr (std::is_floating_point_v<T>) {
      return x / w;
    } else {
      if (w == 0) return 0;
      if constexpr (std::is_signed_v<T>) {
        if (w == -1) return static_cast<T>(-static_cast<uint64_t>(x));
      }
      return x / w;
    }
  }
};
}  // namespace

OpDecl div_decl{
    .name = "div",
    .doc = "Quotient of two tensors, y = x / w. Integers truncate toward zero; x / 0 is 0 and lowest / -1 wraps.",
    .tier = Tier::kBringUp,
    .kind = Kind::kElementwise,
    .inputs = {{"x", numbers}, {"w", same_as_first, {0.5, 3.0}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kBroadcast,
    .rules = {kEqualShapes},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) {
      p.dx(0) = p.dy() / p.x(1);
      p.dx(1) = -(p.dy() * p.y() / p.x(1));
    }),
    .meaning = elementwise(Divide{}),
    .accuracy = ulps(2.5),
    .cost = flops_per_element(4),
    .cases = {"[2,3] [2,3]", "[] []", "[0,4] [0,4]", "[1] [1]", "[17] [17]", "i32[33]:-50..50 i32[33]:-4..4",
              "u8[9]:0..255 u8[9]:0..9"},
    .rejects = {"1: [2,3] [3,2]"},
};

}  // namespace trireme
