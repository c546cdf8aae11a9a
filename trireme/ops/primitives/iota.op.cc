#include "trireme/ops/declare.h"

namespace trireme {

OpDecl iota_decl{
    .name = "iota",
    .doc = "Each element is its index along an axis, y[.., i, ..] = i.",
    .tier = Tier::kMandatory,
    .kind = Kind::kSource,
    .inputs = {},
    .outputs = {"y"},
    .attributes = {{"shape", required_ints, "sizes"},
                   {"dtype", required_dtype, "element type"},
                   {"axis", 0, "axis to count along"}},
    .coerce = Coerce::kNone,
    .rules = {"no size is negative", kAxisInRange, "dtype is not bool"},
    .infer =
        [](Infer& i) {
          const Ints& sizes = i.integers("shape");
          i.require(1, std::all_of(sizes.begin(), sizes.end(), [](int64_t n) { return n >= 0; }));
          i.axis(2, i.integer("axis"), static_cast<int>(sizes.size()));
          i.require(3, i.type("dtype") != boolean);
          i.output(i.type("dtype"), sizes);
        },
    .gradient = none("it has no inputs"),
    .meaning = evaluate([](Evaluation& e) {
      const auto [outer, size, inner] = around_axis(e.y().shape(), e.integer("axis"));
      for (int64_t at = 0; at < e.y().elements(); ++at) {
        const int64_t index = at / inner % size;
        if (e.y().floating()) e.y().real[static_cast<size_t>(at)] = static_cast<double>(index);
        else e.y().integer[static_cast<size_t>(at)] = wrap_integer(e.y().type.dtype, index);
      }
    }),
    .accuracy = exact,
    .cost = no_flops,
    .cases = {"shape=[5] dtype=i32", "shape=[2,3] dtype=f32 axis=1", "shape=[2,3] dtype=i64 axis=-2",
              "shape=[0] dtype=f32", "shape=[300] dtype=u8", "shape=[300] dtype=bf16"},
    .rejects = {"1: shape=[-1] dtype=f32", "2: shape=[] dtype=f32", "2: shape=[3] dtype=f32 axis=1",
                "3: shape=[3] dtype=bool"},
};

}  // namespace trireme
