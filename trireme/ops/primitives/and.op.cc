#include "trireme/ops/declare.h"

namespace trireme {

OpDecl and_decl{
    .name = "and",
    .doc = "Bitwise and of integers, logical and of bools, element by element.",
    .tier = Tier::kMandatory,
    .kind = Kind::kElementwise,
    .inputs = {{"x", ints | bools}, {"w", same_as_first}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kBroadcast,
    .rules = {kEqualShapes},
    .infer = infer_same,
    .gradient = none("integers and bools have no derivative"),
    .meaning = elementwise([](uint64_t x, uint64_t w) { return x & w; }),
    .accuracy = exact,
    .cost = flops_per_element(1),
    .cases = {"[2,3] [2,3]", "[] []", "[0,4] [0,4]", "i32[33]:-99..99 i32[33]:-99..99", "u8[33]:0..255 u8[33]:0..255"},
    .rejects = {"1: [2,3] [3,2]"},
};

}  // namespace trireme
