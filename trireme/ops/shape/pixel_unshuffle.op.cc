#include "trireme/ops/declare.h"

namespace trireme {

OpDecl pixel_unshuffle_decl{
    .name = "pixel_unshuffle",
    .doc =
        "Pixels to channels, the inverse of pixel_shuffle: y[..., c r^2 + i r + j, h, w] = x[..., c, h r "
        "+ i, w r + j] with r = factor.",
    .tier = Tier::kComposite,
    .kind = Kind::kMovement,
    .inputs = {{"x", any_dtype}},
    .outputs = {"y"},
    .attributes = {{"factor", required_int, "r"}},
    .coerce = Coerce::kNone,
    .rules = {"x has rank 3 or more, [..., C, H, W]", "factor is 1 or more and divides height and width"},
    .infer =
        [](Infer& i) {
          const int64_t r = i.integer("factor");
          i.require(1, i.rank(0) >= 3);
          const int c = i.rank(0) - 3;
          const Shape& x = i.shape(0);
          i.require(2, r >= 1 && r <= 65536 && x[c + 1] % r == 0 && x[c + 2] % r == 0);
          i.output(i.dtype(0), x.with(c, x[c] * r * r).with(c + 1, x[c + 1] / r).with(c + 2, x[c + 2] / r));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Shape &x = d.x(0).shape(), &y = d.y().shape();
      const int c = x.rank() - 3;
      const int64_t r = d.integer("factor"), height = y[c + 1], width = y[c + 2];
      int64_t lead = x[c];
      for (int a = 0; a < c; ++a) lead *= x[a];
      const Value parts = ops::reshape(d.x(0), {lead, height, r, width, r});
      return ops::reshape(ops::transpose(parts, {0, 2, 4, 1, 3}), y.vector());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[1,1,4,6] factor=2", "[2,3,3] factor=3", "[2,2,1,2] factor=1", "[0,1,2,2] factor=2"},
    .rejects = {"1: [4,4] factor=2", "2: [1,3,2] factor=2"},
};

}  // namespace trireme
