#include "trireme/ops/declare.h"

namespace trireme {

OpDecl ones_decl{
    .name = "ones",
    .doc = "A tensor of ones.",
    .tier = Tier::kComposite,
    .kind = Kind::kSource,
    .inputs = {},
    .outputs = {"y"},
    .attributes = {{"shape", required_ints, "sizes"}, {"dtype", f32, "element type"}},
    .coerce = Coerce::kNone,
    .rules = {"no size is negative"},
    .infer =
        [](Infer& i) {
          i.require(
              1, std::all_of(i.integers("shape").begin(), i.integers("shape").end(), [](int64_t n) { return n >= 0; }));
          i.output(i.type("dtype"), i.integers("shape"));
        },
    .gradient = none("it has no inputs"),
    .meaning = decompose([](const Decompose& d) -> Values { return ops::filled(d.y().dtype(), d.y().shape(), 1.0); }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"shape=[2,3]", "shape=[] dtype=i32", "shape=[0] dtype=bool"},
    .rejects = {"1: shape=[-1]"},
};

}  // namespace trireme
