#include "trireme/ops/declare.h"

namespace trireme {

OpDecl xor_decl{
    .name = "xor",
    .doc = "Bitwise exclusive or of integers, logical of bools, element by element.",
    .tier = Tier::kExpected,
    .kind = Kind::kElementwise,
    .inputs = {{"x", ints | bools}, {"w", same_as_first}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kBroadcast,
    .rules = {kEqualShapes},
    .infer = infer_same,
    .gradient = none("integers and bools have no derivative"),
    .meaning = elementwise([](uint64_t x, uint64_t w) { return x ^ w; },
                           [](const Decompose& d) -> Values {
                             if (d.x(0).dtype() == boolean) return ops::compare(d.x(0), d.x(1), "ne");
                             return ops::or_(d.x(0), d.x(1)) - ops::and_(d.x(0), d.x(1));
                           }),
    .accuracy = exact,
    .cost = flops_per_element(1),
    .cases = {"[2,3] [2,3]", "[] []", "[0,4] [0,4]", "i32[33]:-99..99 i32[33]:-99..99", "u8[33]:0..255 u8[33]:0..255"},
    .rejects = {"1: [2,3] [3,2]"},
};

}  // namespace trireme
