#include "trireme/ops/declare.h"

namespace trireme {

OpDecl broadcast_to_decl{
    .name = "broadcast_to",
    .doc =
        "x repeated to a larger shape: axes are aligned at the last one, sizes of 1 stretch, leading axes are added.",
    .tier = Tier::kHost,
    .kind = Kind::kView,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"shape", required_ints, "sizes of the result"}},
    .coerce = Coerce::kNone,
    .rules = {"each size of x, aligned at the last axis, is 1 or the size in shape"},
    .infer =
        [](Infer& i) {
          const Shape target(i.integers("shape"));
          Shape both;
          i.require(1, broadcast_shapes(i.shape(0), target, &both) && both == target);
          i.output(i.dtype(0), target);
        },
    .gradient = pullback([](Pullback& p) { p.dx(0) = ops::sum_to(p.dy(), p.x(0).shape()); }),
    .meaning = evaluate([](Evaluation& e) {
      const Shape &from = e.x(0).shape(), &to = e.y().shape();
      const Strides dense = dense_strides(from);
      Strides strides{};
      for (int a = 0; a < from.rank(); ++a) {
        if (from[a] != 1) strides[static_cast<size_t>(a + to.rank() - from.rank())] = dense[static_cast<size_t>(a)];
      }
      copy_strided(e.y(), e.x(0), 0, strides);
    }),
    .accuracy = exact,
    .cost = no_flops,
    .cases = {"[3] shape=[2,3]", "[2,1] shape=[2,3]", "[] shape=[2,2]", "[1,3] shape=[0,3]", "[2,3] shape=[2,3]"},
    .rejects = {"1: [2] shape=[3]", "1: [2,3] shape=[3]"},
};

}  // namespace trireme
