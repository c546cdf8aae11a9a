#include "trireme/ops/declare.h"

namespace trireme {

OpDecl concat_decl{
    .name = "concat",
    .doc = "Joins tensors along an axis, in the order given.",
    .tier = Tier::kHost,
    .kind = Kind::kMovement,
    .inputs = {{"xs", any_dtype, {}, Arity::kVariadic}},
    .outputs = {"y"},
    .attributes = {{"axis", 0, "axis to join along"}},
    .coerce = Coerce::kPromote,
    .rules = {kAxisInRange, "all inputs have the same rank, and the same sizes apart from the axis"},
    .infer =
        [](Infer& i) {
          const int axis = i.axis(1, i.integer("axis"), i.rank(0));
          int64_t size = 0;
          for (int k = 0; k < i.inputs(); ++k) {
            i.require(2, i.rank(k) == i.rank(0) && i.shape(k).without(axis) == i.shape(0).without(axis));
            size += i.shape(k)[axis];
          }
          i.output(i.dtype(0), i.shape(0).with(axis, size));
        },
    .gradient = pullback([](Pullback& p) {
      const int axis = static_cast<int>(normal_axis(p.integer("axis"), p.y().shape().rank()));
      int64_t begin = 0;
      for (int k = 0; k < p.inputs(); ++k) {
        const int64_t end = begin + p.x(k).shape()[axis];
        p.dx(k) = ops::slice_axis(p.dy(), axis, begin, end);
        begin = end;
      }
    }),
    .meaning = evaluate([](Evaluation& e) {
      const auto [outer, size, inner] = around_axis(e.y().shape(), e.integer("axis"));
      int64_t begin = 0;
      for (int k = 0; k < e.inputs(); ++k) {
        const int64_t part = around_axis(e.x(k).shape(), e.integer("axis")).size * inner;
        for (int64_t o = 0; o < outer; ++o) {
          for (int64_t j = 0; j < part; ++j) {
            e.y().copy_element(o * size * inner + begin + j, e.x(k), o * part + j);
          }
        }
        begin += part;
      }
    }),
    .accuracy = exact,
    .cost = no_flops,
    .cases = {"[2,3] [4,3]", "[2,3] [2,1] [2,0] axis=1", "[5] axis=-1", "[0] [0]", "[1,2,2] [1,3,2] axis=-2"},
    .rejects = {"1: [2,3] [2,3] axis=2", "2: [2,3] [2,4]", "2: [2,3] [2]"},
};

}  // namespace trireme
