#include "trireme/ops/declare.h"

namespace trireme {

OpDecl dot_general_decl{
    .name = "dot_general",
    .doc =
        "Batched matrix product, y[b,m,n] = sum_k x[b,m,k] w[b,k,n]. Every contraction becomes this one, by views. "
        "f16 and bf16 accumulate in f32, integers wrap.",
    .tier = Tier::kBringUp,
    .kind = Kind::kContraction,
    .inputs = {{"x", numbers}, {"w", same_as_first}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kPromote,
    .rules = {"x and w have rank 3", "the batch sizes are equal", "the inner sizes x[2] and w[1] are equal"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) == 3 && i.rank(1) == 3);
          i.require(2, i.shape(0)[0] == i.shape(1)[0]);
          i.require(3, i.shape(0)[2] == i.shape(1)[1]);
          i.output(i.dtype(0), {i.shape(0)[0], i.shape(0)[1], i.shape(1)[2]});
        },
    .gradient = pullback([](Pullback& p) {
      p.dx(0) = ops::dot_general(p.dy(), ops::transpose(p.x(1), {0, 2, 1}));
      p.dx(1) = ops::dot_general(ops::transpose(p.x(0), {0, 2, 1}), p.dy());
    }),
    .meaning = evaluate([](Evaluation& e) {
      const int64_t batch = e.x(0).shape()[0], m = e.x(0).shape()[1], k = e.x(0).shape()[2], n = e.x(1).shape()[2];
      const auto run = [&](const auto& x, const auto& w, auto& y) {
        for (int64_t b = 0; b < batch; ++b) {
          for (int64_t row = 0; row < m; ++row) {
            auto* out = y.data() + (b * m + row) * n;
            for (int64_t inner = 0; inner < k; ++inner) {
              const auto left = x[static_cast<size_t>((b * m + row) * k + inner)];
              const auto* right = w.data() + (b * k + inner) * n;
              for (int64_t col = 0; col < n; ++col) {
                out[col] = wrapping([](auto a, auto c) { return a + c; }, out[col],
                                    wrapping([](auto a, auto c) { return a * c; }, left, right[col]));
              }
            }
          }
        }
      };
      if (e.x(0).floating()) run(e.x(0).real, e.x(1).real, e.y().real);
      else run(e.x(0).integer, e.x(1).integer, e.y().integer);
      if (!e.x(0).floating()) e.y().round();
    }),
    .accuracy = accumulated,
    .cost = flops([](const OpView& v) {
      return 2.0 * static_cast<double>(v.y().shape().elements()) * static_cast<double>(v.x(0).shape()[2]);
    }),
    .cases = {"[1,2,3] [1,3,4]", "[2,3,5] [2,5,7]", "[1,1,1] [1,1,1]", "[2,0,3] [2,3,4]", "[1,2,0] [1,0,3]",
              "[1,33,17] [1,17,65]"},
    .rejects = {"1: [2,3] [3,4]", "2: [1,2,3] [2,3,4]", "3: [1,2,3] [1,4,5]"},
};

}  // namespace trireme
