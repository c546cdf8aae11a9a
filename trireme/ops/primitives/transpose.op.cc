#include "trireme/ops/declare.h"

namespace trireme {

OpDecl transpose_decl{
    .name = "transpose",
    .doc = "The axes in another order: axis i of y is axis order[i] of x.",
    .tier = Tier::kHost,
    .kind = Kind::kView,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"order", required_ints, "a permutation of 0 .. rank-1"}},
    .coerce = Coerce::kNone,
    .rules = {"order is a permutation of 0 .. rank-1"},
    .infer =
        [](Infer& i) {
          const Ints& order = i.integers("order");
          Ints sorted = order;
          std::sort(sorted.begin(), sorted.end());
          i.require(1, sorted == ops::iota_axes(i.rank(0)));
          Ints sizes;
          for (int64_t a : order) sizes.push_back(i.shape(0)[static_cast<int>(a)]);
          i.output(i.dtype(0), sizes);
        },
    .gradient = pullback([](Pullback& p) {
      const Ints& order = p.integers("order");
      Ints inverse(order.size());
      for (size_t a = 0; a < order.size(); ++a) inverse[static_cast<size_t>(order[a])] = static_cast<int64_t>(a);
      p.dx(0) = ops::transpose(p.dy(), inverse);
    }),
    .meaning = evaluate([](Evaluation& e) {
      const Strides dense = dense_strides(e.x(0).shape());
      const Ints& order = e.integers("order");
      Strides strides{};
      for (size_t a = 0; a < order.size(); ++a) strides[a] = dense[static_cast<size_t>(order[a])];
      copy_strided(e.y(), e.x(0), 0, strides);
    }),
    .accuracy = exact,
    .cost = no_flops,
    .cases = {"[2,3] order=[1,0]", "[2,3,4] order=[2,0,1]", "[] order=[]", "[0,3] order=[1,0]"},
    .rejects = {"1: [2,3] order=[0,0]", "1: [2,3] order=[0]"},
};

}  // namespace trireme
