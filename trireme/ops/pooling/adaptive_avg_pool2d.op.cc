#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

namespace {
// Row o averages the inputs floor(o in / out) .. ceil((o+1) in / out) - 1: an [out, in] matrix.
Value averaging_matrix(int64_t out, int64_t in, DType dtype) {
  std::vector<double> values(static_cast<size_t>(out * in), 0.0);
  for (int64_t o = 0; o < out; ++o) {
    const int64_t begin = o * in / out, end = ((o + 1) * in + out - 1) / out;
    for (int64_t i = begin; i < end; ++i)
      values[static_cast<size_t>(o * in + i)] = 1.0 / static_cast<double>(end - begin);
  }
  return ops::constant(Literal::from_doubles(dtype, Shape{1, out, in}, values));
}
}  // namespace

OpDecl adaptive_avg_pool2d_decl{
    .name = "adaptive_avg_pool2d",
    .doc =
        "Averages x [N, C, H, W] to the given size: y[o] is the mean of x[floor(o H / size)] .. "
        "x[ceil((o+1) H / size) - 1], along both axes.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}},
    .outputs = {"y"},
    .attributes = {{"size", required_ints, "height and width of y"}},
    .coerce = Coerce::kNone,
    .rules = {"x is [N, C, H, W] with H and W not 0", "size has two entries of 1 or more"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) == 4 && i.shape(0)[2] >= 1 && i.shape(0)[3] >= 1);
          const Ints& size = i.integers("size");
          i.require(2, size.size() == 2 && size[0] >= 1 && size[1] >= 1);
          i.output(i.dtype(0), {i.shape(0)[0], i.shape(0)[1], size[0], size[1]});
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::widen(d.x(0));
      const int64_t planes = x.shape()[0] * x.shape()[1], height = x.shape()[2], width = x.shape()[3];
      const int64_t rows = d.integers("size")[0], columns = d.integers("size")[1];
      Value y;
      if (height % rows == 0 && width % columns == 0) {
        const Value tiles = ops::reshape(x, {planes, rows, height / rows, columns, width / columns});
        y = ops::mean_kept(tiles, {2, 4});
      } else {
        const Value down = ops::broadcast_to(averaging_matrix(rows, height, x.dtype()), {planes, rows, height});
        const Value across = ops::transpose(averaging_matrix(columns, width, x.dtype()), {0, 2, 1});
        const Value half = ops::dot_general(down, ops::reshape(x, {planes, height, width}));
        y = ops::dot_general(half, ops::broadcast_to(across, {planes, width, columns}));
      }
      return ops::as_type(ops::reshape(y, d.y().shape().vector()), d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[2,3,4,6] size=[2,3]", "[1,2,7,5] size=[3,2]", "[1,2,3,4] size=[5,4]", "[1,1,1,1] size=[1,1]",
              "[0,2,4,4] size=[2,2]"},
    .rejects = {"1: [2,3,4] size=[2,3]", "1: [2,3,0,4] size=[2,3]", "2: [2,3,4,6] size=[2]", "2: [2,3,4,6] size=[0,3]"},
};

}  // namespace trireme
