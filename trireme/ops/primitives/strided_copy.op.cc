#include "trireme/ops/declare.h"

namespace trireme {

OpDecl strided_copy_decl{
    .name = "strided_copy",
    .doc =
        "A dense copy of x, whatever its strides: what transposes, slices and broadcasts become when bytes must move.",
    .tier = Tier::kBringUp,
    .kind = Kind::kMovement,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = infer_same,
    .gradient = pullback([](Pullback& p) { p.dx(0) = p.dy(); }),
    .meaning = evaluate(evaluate_copy),
    .accuracy = exact,
    .cost = no_flops,
    .cases = {"[2,3]", "[]", "[0,3]", "[33]", "[2,3,4]"},
    .rejects = {},
};

}  // namespace trireme
