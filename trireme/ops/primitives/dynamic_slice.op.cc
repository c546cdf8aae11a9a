#include "trireme/ops/declare.h"

namespace trireme {

OpDecl dynamic_slice_decl{
    .name = "dynamic_slice",
    .doc =
        "A box of x at a position known only when running: y[i] = x[start + i]. start is clamped so that the box fits.",
    .tier = Tier::kExpected,
    .kind = Kind::kIndexing,
    .inputs = {{"x", any_dtype}, {"start", index_ints, {-1, 3}}},
    .outputs = {"y"},
    .attributes = {{"sizes", required_ints, "sizes of the box"}},
    .coerce = Coerce::kNone,
    .rules = {"start has one element per axis of x", "sizes has one entry per axis of x, from 0 to its size"},
    .infer =
        [](Infer& i) {
          const Ints& sizes = i.integers("sizes");
          i.require(1, i.shape(1) == Shape{i.rank(0)});
          i.require(2, sizes.size() == static_cast<size_t>(i.rank(0)));
          for (size_t a = 0; a < sizes.size(); ++a) {
            i.require(2, sizes[a] >= 0 && sizes[a] <= i.shape(0)[static_cast<int>(a)]);
          }
          i.output(i.dtype(0), sizes);
        },
    .gradient = pullback(
        [](Pullback& p) { p.dx(0) = ops::dynamic_update_slice(ops::filled_like(p.x(0), 0.0), p.dy(), p.x(1)); }),
    .meaning = evaluate(
        [](Evaluation& e) {
          const Strides strides = dense_strides(e.x(0).shape());
          copy_strided(e.y(), e.x(0), clamped_offset(e.x(1), e.x(0).shape(), e.y().shape()), strides);
        },
        [](const Decompose& d) -> Values {
          // One gather per axis that is cut.
          Value x = d.x(0);
          for (int a = 0; a < x.shape().rank(); ++a) {
            const int64_t size = d.integers("sizes")[static_cast<size_t>(a)];
            if (size == x.shape()[a]) continue;
            const Value first = ops::clamped_start(d.x(1), a, x.shape()[a] - size);
            x = ops::gather(x, ops::iota({size}, first.dtype(), 0) + first, a);
          }
          return x;
        }),
    .accuracy = exact,
    .cost = no_flops,
    .cases = {"[7] i32[1]:-3..9 sizes=[3]", "[4,5] i64[2]:-3..9 sizes=[2,5]", "[4,5] i32[2]:0..1 sizes=[3,4]",
              "[] i32[0] sizes=[]", "[4,5] i32[2]:0..3 sizes=[0,2]"},
    .rejects = {"1: [4,5] i32[1]:0..1 sizes=[2,2]", "2: [4,5] i32[2]:0..1 sizes=[2]",
                "2: [4,5] i32[2]:0..1 sizes=[5,2]"},
};

}  // namespace trireme
