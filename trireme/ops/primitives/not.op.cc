#include "trireme/ops/declare.h"

namespace trireme {

OpDecl not_decl{
    .name = "not",
    .doc = "Bitwise complement of integers, logical not of bools.",
    .tier = Tier::kMandatory,
    .kind = Kind::kElementwise,
    .inputs = {{"x", ints | bools}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = none("integers and bools have no derivative"),
    .meaning = elementwise([](uint64_t x, const Evaluation& e) { return e.x(0).type.dtype == boolean ? x ^ 1 : ~x; }),
    .accuracy = exact,
    .cost = flops_per_element(1),
    .cases = {"[2,3]", "[]", "[0]", "u8[33]:0..255"},
    .rejects = {},
};

}  // namespace trireme
