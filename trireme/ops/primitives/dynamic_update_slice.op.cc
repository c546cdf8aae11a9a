#include "trireme/ops/declare.h"

namespace trireme {

namespace {
// Reads the update at (index - start) everywhere, by one gather per axis, and keeps what lies inside the box.
Values update_by_gathers(const Decompose& d) {
  const Value& x = d.x(0);
  Value spread = d.x(1);
  if (spread.shape().elements() == 0) return x;
  Value inside;
  for (int a = 0; a < x.shape().rank(); ++a) {
    const int64_t size = x.shape()[a], box = spread.shape()[a];
    if (box == size) continue;
    const Value first = ops::clamped_start(d.x(2), a, size - box);
    const Value place = ops::iota({size}, first.dtype(), 0) - first;
    const Value within = ops::and_(ops::compare(place, 0.0, "ge"), ops::compare(place, static_cast<double>(box), "lt"));
    Ints aligned(static_cast<size_t>(x.shape().rank()), 1);
    aligned[static_cast<size_t>(a)] = size;
    const Value here = ops::broadcast_to(ops::reshape(within, aligned), x.shape().vector());
    inside = inside ? ops::and_(inside, here) : here;
    spread = ops::gather(spread, place, a);
  }
  return inside ? ops::select(inside, spread, x) : spread;
}
}  // namespace

OpDecl dynamic_update_slice_decl{
    .name = "dynamic_update_slice",
    .doc =
        "A copy of x in which a box holds `update`, y[start + i] = update[i]. start is clamped so that the box fits.",
    .tier = Tier::kExpected,
    .kind = Kind::kIndexing,
    .inputs = {{"x", any_dtype}, {"update", same_as_first}, {"start", index_ints, {-1, 3}}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kNone,
    .rules = {"update has the rank of x and is not larger along any axis", "start has one element per axis of x"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(1) == i.rank(0));
          for (int a = 0; a < i.rank(0); ++a) i.require(1, i.shape(1)[a] <= i.shape(0)[a]);
          i.require(2, i.shape(2) == Shape{i.rank(0)});
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = pullback([](Pullback& p) {
      p.dx(0) = ops::dynamic_update_slice(p.dy(), ops::filled_like(p.x(1), 0.0), p.x(2));
      p.dx(1) = ops::dynamic_slice(p.dy(), p.x(2), p.x(1).shape().vector());
    }),
    .meaning = evaluate(
        [](Evaluation& e) {
          evaluate_copy(e);
          const Evaluated& update = e.x(1);
          const Strides strides = dense_strides(e.y().shape());
          const int64_t offset = clamped_offset(e.x(2), e.y().shape(), update.shape());
          for_each_index(update.shape(), [&](int64_t at, const int64_t* index) {
            int64_t to = offset;
            for (int a = 0; a < update.shape().rank(); ++a) to += index[a] * strides[static_cast<size_t>(a)];
            e.y().copy_element(to, update, at);
          });
        },
        update_by_gathers),
    .accuracy = exact,
    .cost = no_flops,
    .cases = {"[7] [3] i32[1]:-3..9", "[4,5] [2,5] i64[2]:-3..9", "[4,5] [3,4] i32[2]:0..1", "[] [] i32[0]",
              "[4,5] [0,2] i32[2]:0..3", "[3] [3] i32[1]:0..3"},
    .rejects = {"1: [4,5] [5,5] i32[2]:0..1", "1: [4,5] [5] i32[2]:0..1", "2: [4,5] [2,2] i32[1]:0..1"},
};

}  // namespace trireme
