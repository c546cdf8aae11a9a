#include "trireme/ops/declare.h"

namespace trireme {

OpDecl space_to_depth_decl{
    .name = "space_to_depth",
    .doc =
        "Pixels to channels with the block outermost, the inverse of depth_to_space: y[n, (i b + j) C + "
        "c, h, w] = x[n, c, h b + i, w b + j] with b = block.",
    .tier = Tier::kComposite,
    .kind = Kind::kMovement,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"block", required_int, "b"}},
    .coerce = Coerce::kNone,
    .rules = {"x has rank 4, [N, C, H, W]", "block is 1 or more and divides height and width"},
    .infer =
        [](Infer& i) {
          const int64_t b = i.integer("block");
          i.require(1, i.rank(0) == 4);
          const Shape& x = i.shape(0);
          i.require(2, b >= 1 && b <= 65536 && x[2] % b == 0 && x[3] % b == 0);
          i.output(i.dtype(0), {x[0], x[1] * b * b, x[2] / b, x[3] / b});
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Shape &x = d.x(0).shape(), &y = d.y().shape();
      const int64_t b = d.integer("block");
      const Value parts = ops::reshape(d.x(0), {x[0], x[1], y[2], b, y[3], b});
      return ops::reshape(ops::transpose(parts, {0, 3, 5, 1, 2, 4}), y.vector());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[1,2,4,6] block=2", "[2,2,1,2] block=1", "[0,1,2,2] block=2"},
    .rejects = {"1: [1,2,2] block=2", "2: [1,1,3,2] block=2"},
};

}  // namespace trireme
