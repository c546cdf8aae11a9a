#include "trireme/ops/declare.h"

namespace trireme {

OpDecl gather_decl{
    .name = "gather",
    .doc =
        "Picks slices of x along an axis: y = x[..., indices, ...], of shape x.shape[:axis] + indices.shape + "
        "x.shape[axis+1:]. An index outside 0 .. size-1 is clamped.",
    .tier = Tier::kBringUp,
    .kind = Kind::kIndexing,
    .inputs = {{"x", any_dtype}, {"indices", index_ints, {-1, 5}}},
    .outputs = {"y"},
    .attributes = {{"axis", 0, "axis of x the indices count along"}},
    .coerce = Coerce::kNone,
    .rules = {kAxisInRange, "the axis of x has at least one element, or there are no indices"},
    .infer =
        [](Infer& i) {
          const int axis = i.axis(1, i.integer("axis"), i.rank(0));
          i.require(2, i.shape(0)[axis] > 0 || i.shape(1).elements() == 0);
          auto sizes = i.shape(0).vector();
          sizes.erase(sizes.begin() + axis);
          sizes.insert(sizes.begin() + axis, i.shape(1).begin(), i.shape(1).end());
          i.output(i.dtype(0), sizes);
        },
    .gradient = pullback([](Pullback& p) {
      // The clamped index is the one that was read.
      const int64_t axis = normal_axis(p.integer("axis"), p.x(0).shape().rank());
      const double last = static_cast<double>(p.x(0).shape()[static_cast<int>(axis)] - 1);
      const Value indices = ops::min(ops::max(p.x(1), ops::filled_like(p.x(1), 0)), ops::filled_like(p.x(1), last));
      p.dx(0) = ops::scatter_add(ops::filled_like(p.x(0), 0.0), indices, p.dy(), axis);
    }),
    .meaning = evaluate([](Evaluation& e) {
      const Evaluated &x = e.x(0), &indices = e.x(1);
      const auto [outer, size, inner] = around_axis(x.shape(), e.integer("axis"));
      const int64_t count = indices.elements();
      for (int64_t o = 0; o < outer; ++o) {
        for (int64_t k = 0; k < count; ++k) {
          const int64_t index = std::clamp<int64_t>(indices.integer[static_cast<size_t>(k)], 0, size - 1);
          for (int64_t j = 0; j < inner; ++j) {
            e.y().copy_element((o * count + k) * inner + j, x, (o * size + index) * inner + j);
          }
        }
      }
    }),
    .accuracy = exact,
    .cost = no_flops,
    .cases = {"[5,3] i32[4]:0..4", "[5,3] i64[2,2]:-3..7", "[2,5,3] i32[4]:0..4 axis=1", "[4] i32[]:0..3",
              "[2,3] i32[0]:0..1 axis=-1"},
    .rejects = {"1: [5,3] i32[4]:0..4 axis=2", "2: [0,3] i32[1]:0..0"},
};

}  // namespace trireme
