#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

OpDecl affine_grid_decl{
    .name = "affine_grid",
    .doc =
        "Sampling points for grid_sample: y[n, p, q] = theta[n] (across, down, 1)^T for theta [N, 2, 3] and the "
        "middles of the pixels of an image of `size`, within -1 .. 1; with align_corners the corner middles are -1 "
        "and 1.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,  // coordinates: 16 bits would move the points
    .inputs = {{"theta", floats}},
    .outputs = {"grid"},
    .attributes = {{"size", required_ints, "height and width of the grid"},
                   {"align_corners", false, "-1 and 1 are the middles of the corner pixels"}},
    .coerce = Coerce::kNone,
    .rules = {"theta is [N, 2, 3]", "size has two entries of 1 or more"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) == 3 && i.shape(0)[1] == 2 && i.shape(0)[2] == 3);
          const Ints& size = i.integers("size");
          i.require(2, size.size() == 2 && size[0] >= 1 && size[1] >= 1);
          i.output(i.dtype(0), {i.shape(0)[0], size[0], size[1], 2});
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value theta = ops::widen(d.x(0));
      const int64_t n = theta.shape()[0], rows = d.integers("size")[0], columns = d.integers("size")[1];
      const auto middle = [&](int64_t at, int64_t size) {
        if (d.flag("align_corners"))
          return size > 1 ? 2.0 * static_cast<double>(at) / static_cast<double>(size - 1) - 1.0 : 0.0;
        return (2.0 * static_cast<double>(at) + 1.0) / static_cast<double>(size) - 1.0;
      };
      std::vector<double> points;  // [P*Q, 3]
      for (int64_t p = 0; p < rows; ++p) {
        for (int64_t q = 0; q < columns; ++q) points.insert(points.end(), {middle(q, columns), middle(p, rows), 1.0});
      }
      const Value base = ops::constant(Literal::from_doubles(theta.dtype(), Shape{1, rows * columns, 3}, points));
      const Value y =
          ops::dot_general(ops::broadcast_to(base, {n, rows * columns, 3}), ops::transpose(theta, {0, 2, 1}));
      return ops::as_type(ops::reshape(y, {n, rows, columns, 2}), d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,2,3] size=[3,4]", "[1,2,3] size=[2,2] align_corners=true", "[1,2,3] size=[1,3] align_corners=true",
              "[0,2,3] size=[2,2]"},
    .rejects = {"1: [2,3,3] size=[3,4]", "2: [2,2,3] size=[3]", "2: [2,2,3] size=[0,3]"},
};

}  // namespace trireme
