#include "trireme/ops/declare.h"

namespace trireme {

OpDecl matmul_decl{
    .name = "matmul",
    .doc =
        "Matrix product of the last two axes, y[..., m, n] = sum_k x[..., m, k] w[..., k, n]; the leading axes "
        "broadcast. A rank-1 operand is a row (x) or a column (w) whose axis is dropped again.",
    .tier = Tier::kComposite,
    .kind = Kind::kContraction,
    .inputs = {{"x", numbers}, {"w", same_as_first}},
    .outputs = {"y"},
    .attributes = {},
    .coerce = Coerce::kPromote,
    .rules = {"x and w have rank 1 or more", "the inner sizes, last of x and second-last of w, are equal",
              "the leading axes broadcast"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) >= 1 && i.rank(1) >= 1, "use mul for scalars");
          const Shape x = i.rank(0) == 1 ? i.shape(0).inserted(0, 1) : i.shape(0);
          const Shape w = i.rank(1) == 1 ? i.shape(1).inserted(1, 1) : i.shape(1);
          i.require(2, x[x.rank() - 1] == w[w.rank() - 2]);
          Shape lead;
          i.require(3, broadcast_shapes(Shape(x.sizes().first(static_cast<size_t>(x.rank() - 2))),
                                        Shape(w.sizes().first(static_cast<size_t>(w.rank() - 2))), &lead));
          auto sizes = lead.vector();
          if (i.rank(0) > 1) sizes.push_back(x[x.rank() - 2]);
          if (i.rank(1) > 1) sizes.push_back(w[w.rank() - 1]);
          i.output(i.dtype(0), sizes);
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      Value x = d.x(0), w = d.x(1);
      if (x.shape().rank() == 1) x = ops::reshape(x, {1, x.shape()[0]});
      if (w.shape().rank() == 1) w = ops::reshape(w, {w.shape()[0], 1});
      const int rank_x = x.shape().rank(), rank_w = w.shape().rank();
      const int64_t m = x.shape()[rank_x - 2], k = x.shape()[rank_x - 1], n = w.shape()[rank_w - 1];
      const Ints result = d.y().shape().vector();
      if (rank_w == 2) {  // one weight for all rows: fold the leading axes into m
        const int64_t rows = x.shape().elements() / std::max<int64_t>(k, 1);
        const int64_t m_all = k == 0 ? d.y().shape().elements() / std::max<int64_t>(n, 1) : rows;
        return ops::reshape(ops::dot_general(ops::reshape(x, {1, m_all, k}), ops::reshape(w, {1, k, n})), result);
      }
      Shape lead;
      broadcast_shapes(Shape(x.shape().sizes().first(static_cast<size_t>(rank_x - 2))),
                       Shape(w.shape().sizes().first(static_cast<size_t>(rank_w - 2))), &lead);
      const auto batched = [&](const Value& v, int64_t rows, int64_t cols) {
        auto sizes = lead.vector();
        sizes.insert(sizes.end(), {rows, cols});
        return ops::reshape(ops::broadcast_to(v, sizes), {lead.elements(), rows, cols});
      };
      return ops::reshape(ops::dot_general(batched(x, m, k), batched(w, k, n)), result);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3] [3,4]", "[3] [3]", "[2,3] [3]", "[3] [3,4]", "[5,2,3] [3,4]", "[2,1,2,3] [4,3,5]", "[2,0] [0,3]"},
    .rejects = {"1: [] [3]", "2: [4,3] [5,2]", "3: [2,3,4] [3,4,5]"},
};

}  // namespace trireme
