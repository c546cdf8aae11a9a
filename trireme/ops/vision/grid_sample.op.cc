#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"

namespace trireme {

namespace {

// Where a coordinate of -1 .. 1 lies among `size` pixels.
Value unnormalised(const Value& g, int64_t size, bool align_corners) {
  const auto n = static_cast<double>(size);
  return align_corners ? (g + 1.0) * ((n - 1.0) * 0.5) : (g + 1.0) * (n * 0.5) - 0.5;
}

}  // namespace

OpDecl grid_sample_decl{
    .name = "grid_sample",
    .doc =
        "Reads images x [N, C, H, W] at the points grid [N, P, Q, 2], each (across, down) within -1 .. 1: "
        "y [N, C, P, Q], bilinear. Outside the image x is 0, or with border its nearest pixel. -1 and 1 are the "
        "outer edges of the corner pixels, or with align_corners their middles.",
    .tier = Tier::kComposite,
    .kind = Kind::kIndexing,
    .inputs = {{"x", floats}, {"grid", same_as_first, {-1.2, 1.2}}},
    .outputs = {"y"},
    .attributes = {{"border", false, "points outside read the nearest pixel"},
                   {"align_corners", false, "-1 and 1 are the middles of the corner pixels"}},
    .coerce = Coerce::kPromote,
    .rules = {"x is [N, C, H, W] with H and W not 0", "grid is [N, P, Q, 2]"},
    .infer =
        [](Infer& i) {
          i.require(1, i.rank(0) == 4 && i.shape(0)[2] >= 1 && i.shape(0)[3] >= 1);
          i.require(2, i.rank(1) == 4 && i.shape(1)[0] == i.shape(0)[0] && i.shape(1)[3] == 2);
          i.output(i.dtype(0), {i.shape(0)[0], i.shape(0)[1], i.shape(1)[1], i.shape(1)[2]});
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Value x = ops::widen(d.x(0)), grid = ops::widen(d.x(1));
      const int64_t n = x.shape()[0], c = x.shape()[1], h = x.shape()[2], w = x.shape()[3];
      const int64_t rows = grid.shape()[1], columns = grid.shape()[2];
      const bool border = d.flag("border"), align = d.flag("align_corners");
      const Ints points = {n, rows, columns};
      const auto coordinate = [&](int64_t which, int64_t size) {
        const Value g = ops::reshape(ops::slice_axis(grid, 3, which, which + 1), points);
        const Value at = unnormalised(g, size, align);
        return border ? ops::min(ops::max(at, 0.0), static_cast<double>(size - 1)) : at;
      };
      const Value across = coordinate(0, w), down = coordinate(1, h);
      const Value left = ops::floor(across), top = ops::floor(down);
      // Channels last, so that one index fetches a pixel.
      const Value pixels = ops::reshape(ops::transpose(x, {0, 2, 3, 1}), {n * h * w, c});
      const DType type = n * h * w < int64_t{1} << 31 ? i32 : i64;
      const Value image = ops::iota(points, type, 0) * static_cast<double>(h * w);
      Value y;
      for (const int corner : {0, 1, 2, 3}) {
        const Value column = left + static_cast<double>(corner % 2), row = top + static_cast<double>(corner / 2);
        Value weight = (1.0 - ops::abs(across - column)) * (1.0 - ops::abs(down - row));
        const auto within = [](const Value& v, int64_t size) {
          return ops::and_(ops::compare(v, 0.0, "ge"), ops::compare(v, static_cast<double>(size - 1), "le"));
        };
        weight = ops::select(ops::and_(within(column, w), within(row, h)), weight, 0.0);
        const auto bounded = [&](const Value& v, int64_t size) {
          return ops::convert(ops::min(ops::max(v, 0.0), static_cast<double>(size - 1)), type);
        };
        const Value index = image + bounded(row, h) * static_cast<double>(w) + bounded(column, w);
        const Value part = ops::gather(pixels, index) * ops::reshape(weight, {n, rows, columns, 1});
        y = y ? y + part : part;
      }
      return ops::as_type(ops::transpose(y, {0, 3, 1, 2}), d.y().dtype());
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[1,2,3,4] [1,2,3,2]", "[2,1,4,3] [2,2,2,2] border=true", "[1,1,3,3] [1,2,2,2] align_corners=true",
              "[1,1,1,1] [1,1,2,2] border=true align_corners=true", "[0,2,3,3] [0,1,1,2]"},
    .rejects = {"1: [2,3,4] [2,2,2,2]", "1: [1,2,0,4] [1,2,2,2]", "2: [1,2,3,4] [2,2,2,2]", "2: [1,2,3,4] [1,2,2,3]"},
};

}  // namespace trireme
