#include "trireme/ops/declare.h"

namespace trireme {

OpDecl parameter_decl{
    .name = "parameter",
    .doc = "An input of a graph. `id` sets one parameter apart from every other.",
    .tier = Tier::kHost,
    .kind = Kind::kSource,
    .inputs = {},
    .outputs = {"y"},
    .attributes = {{"dtype", required_dtype, "element type"},
                   {"shape", required_ints, "sizes"},
                   {"id", required_int, "unique number"}},
    .coerce = Coerce::kNone,
    .rules = {},
    .infer = [](Infer& i) { i.output(i.type("dtype"), i.integers("shape")); },
    .gradient = none("an input has no inputs"),
    .meaning = evaluate(
        [](Evaluation&) { throw Error(Code::kInternal, "a parameter is bound by the caller, never evaluated"); }),
    .accuracy = exact,
    .cost = no_flops,
    .cases = {},
    .rejects = {},
};

}  // namespace trireme
