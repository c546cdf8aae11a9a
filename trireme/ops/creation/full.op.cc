#include "trireme/ops/declare.h"

namespace trireme {

OpDecl full_decl{
    .name = "full",
    .doc = "A tensor whose every element is `value`, converted to the type.",
    .tier = Tier::kComposite,
    .kind = Kind::kSource,
    .inputs = {},
    .outputs = {"y"},
    .attributes = {{"shape", required_ints, "sizes"},
                   {"value", required_float, "the value"},
                   {"dtype", f32, "element type"}},
    .coerce = Coerce::kNone,
    .rules = {"no size is negative"},
    .infer =
        [](Infer& i) {
          i.require(
              1, std::all_of(i.integers("shape").begin(), i.integers("shape").end(), [](int64_t n) { return n >= 0; }));
          i.output(i.type("dtype"), i.integers("shape"));
        },
    .gradient = none("it has no inputs"),
    .meaning = decompose(
        [](const Decompose& d) -> Values { return ops::filled(d.y().dtype(), d.y().shape(), d.number("value")); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"shape=[2,3] value=0.5", "shape=[] value=7.0 dtype=i32", "shape=[0] value=1.0 dtype=bool"},
    .rejects = {"1: shape=[-1] value=0.0"},
};

}  // namespace trireme
