#include "trireme/ops/declare.h"

namespace trireme {

OpDecl reverse_decl{
    .name = "reverse",
    .doc = "The elements in opposite order along the axes (all axes when the list is empty).",
    .tier = Tier::kHost,
    .kind = Kind::kView,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"axes", required_ints, "axes to reverse; empty: all"}},
    .coerce = Coerce::kNone,
    .rules = {kAxesInRange},
    .infer =
        [](Infer& i) {
          i.axes(1, i.integers("axes"), i.rank(0));
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = pullback([](Pullback& p) { p.dx(0) = ops::reverse(p.dy(), p.integers("axes")); }),
    .meaning = evaluate([](Evaluation& e) {
      const Shape& shape = e.y().shape();
      Strides strides = dense_strides(shape);
      int64_t offset = 0;
      for (int64_t a : ops::normal_axes(e.integers("axes"), shape.rank())) {
        int64_t& stride = strides[static_cast<size_t>(a)];
        offset += (shape[static_cast<int>(a)] - 1) * stride;
        stride = -stride;
      }
      copy_strided(e.y(), e.x(0), offset, strides);
    }),
    .accuracy = exact,
    .cost = no_flops,
    .cases = {"[5] axes=[0]", "[2,3] axes=[-1]", "[2,3,4] axes=[0,2]", "[2,3] axes=[]", "[0,3] axes=[0]"},
    .rejects = {"1: [2,3] axes=[2]", "1: [2,3] axes=[0,-2]"},
};

}  // namespace trireme
