#include "trireme/ops/declare.h"

namespace trireme {

OpDecl fill_decl{
    .name = "fill",
    .doc = "A tensor whose every element is `value`, converted to the type.",
    .tier = Tier::kBringUp,
    .kind = Kind::kSource,
    .inputs = {},
    .outputs = {"y"},
    .attributes = {{"shape", required_ints, "sizes"},
                   {"dtype", required_dtype, "element type"},
                   {"value", required_float, "the value"}},
    .coerce = Coerce::kNone,
    .rules = {"no size is negative"},
    .infer =
        [](Infer& i) {
          const Ints& sizes = i.integers("shape");
          i.require(1, std::all_of(sizes.begin(), sizes.end(), [](int64_t n) { return n >= 0; }));
          i.output(i.type("dtype"), sizes);
        },
    .gradient = none("it has no inputs"),
    .meaning = evaluate([](Evaluation& e) { fill_with(e.y(), e.number("value")); }),
    .accuracy = exact,
    .cost = no_flops,
    .cases = {"shape=[2,3] dtype=f32 value=0.1", "shape=[] dtype=i32 value=-3", "shape=[0] dtype=bool value=1",
              "shape=[5] dtype=bf16 value=1.5", "shape=[5] dtype=u8 value=200"},
    .rejects = {"1: shape=[-1] dtype=f32 value=0"},
};

}  // namespace trireme
