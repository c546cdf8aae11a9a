#include "trireme/ops/declare.h"

namespace trireme {

OpDecl depth_to_space_decl{
    .name = "depth_to_space",
    .doc =
        "Channels to pixels with the block outermost, y[n, c, h b + i, w b + j] = x[n, (i b + j) C/b^2 + "
        "c, h, w] with b = block.",
    .tier = Tier::kComposite,
    .kind = Kind::kMovement,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"block", required_int, "b"}},
    .coerce = Coerce::kNone,
    .rules = {"x has rank 4, [N, C, H, W]", "block is 1 or more and its square divides the channels"},
    .infer =
        [](Infer& i) {
          const int64_t b = i.integer("block");
          i.require(1, i.rank(0) == 4);
          const Shape& x = i.shape(0);
          i.require(2, b >= 1 && b <= 65536 && x[1] % (b * b) == 0);
          i.output(i.dtype(0), {x[0], x[1] / (b * b), x[2] * b, x[3] * b});
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Shape &x = d.x(0).shape(), &y = d.y().shape();
      const int64_t b = d.integer("block");
      const Value parts = ops::reshape(d.x(0), {x[0], b, b, y[1], x[2], x[3]});
      return ops::reshape(ops::transpose(parts, {0, 3, 4, 1, 5, 2}), y.vector());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[1,8,2,3] block=2", "[2,2,1,2] block=1", "[0,4,1,1] block=2"},
    .rejects = {"1: [4,1,1] block=2", "2: [1,3,2,2] block=2"},
};

}  // namespace trireme
