#include "trireme/formats/deformable.h"

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"
#include "trireme/ops/sizes.h"

namespace trireme::formats {

namespace {

void require(bool holds, const std::string& why) {
  if (!holds) throw Error(Code::kInvalidArgument, why);
}
Value broadcast(const Value& x, const Shape& shape) {
  return x.shape() == shape ? x : ops::broadcast_to(x, shape.vector());
}

}  // namespace

// Bilinear samples of each kernel element's place, moved by its offset; then the weights, group by group.
Value deformable_convolution(const Value& given, const Value& w, const Value& offset, const Value& mask,
                             const Deformable& how) {
  require(given.shape().rank() == 4 && w.shape().rank() == 4 && offset.shape().rank() == 4,
          cat("the image is ", given.shape(), ", the kernel ", w.shape(), ", offset ", offset.shape()));
  const Value x = ops::widen(given);
  const Shape& image = x.shape();
  const int64_t n = image[0], channels = image[1], height = image[2], width = image[3];
  const int64_t groups = how.groups, areas = how.areas;
  const int64_t rows = offset.shape()[2], columns = offset.shape()[3];
  const int64_t kw = w.shape()[3], taps = bounded(Wide{w.shape()[2]} * kw);
  if (taps > 4096) throw Error(Code::kUnsupported, "a kernel of more than 4096 elements");
  require(areas >= 1 && channels % areas == 0 && groups >= 1 && w.shape()[0] % groups == 0, "groups divide channels");
  require(offset.shape() == Shape({n, bounded(Wide{areas} * taps * 2), rows, columns}),
          cat("offset is ", offset.shape()));
  const DType type = x.dtype();
  // [n, areas, taps, 2, rows, columns]
  const Value moves = ops::reshape(ops::as_type(offset, type), {n, areas, taps, 2, rows, columns});
  const Ints places = {n, areas, taps, rows, columns};
  const auto coordinate = [&](int which) {
    const Value move = ops::reshape(ops::slice_axis(moves, 3, which, which + 1), places);
    std::vector<double> start;
    for (int64_t t = 0; t < taps; ++t) {
      const auto a = static_cast<size_t>(which);
      start.push_back(static_cast<double>((which == 0 ? t / kw : t % kw) * how.dilations[a] - how.low[a]));
    }
    const Value tap = broadcast(ops::along_axis(ops::float_vector(type, start), 2, 5), Shape(places));
    const Value step =
        ops::iota(places, type, which == 0 ? 3 : 4) * static_cast<double>(how.strides[static_cast<size_t>(which)]);
    return tap + step + move;
  };
  const Value down = coordinate(0), across = coordinate(1);
  const Value top = ops::floor(down), left = ops::floor(across);
  // Rows of pixels with the channels of one area last: [n areas height width, channels / areas].
  const int64_t each = channels / areas;
  const Value pixels = ops::reshape(ops::transpose(ops::reshape(x, {n, areas, each, height, width}), {0, 1, 3, 4, 2}),
                                    {n * areas * height * width, each});
  const Value base = (ops::iota(places, i64, 0) * static_cast<double>(areas) + ops::iota(places, i64, 1)) *
                     static_cast<double>(height * width);
  Value sampled;
  for (const auto& [below, beside] : {std::pair(0.0, 0.0), {0.0, 1.0}, {1.0, 0.0}, {1.0, 1.0}}) {
    const Value row = top + below, column = left + beside;
    const auto inside = [](const Value& v, int64_t size) {
      return ops::and_(ops::compare(v, 0.0, "ge"), ops::compare(v, static_cast<double>(size - 1), "le"));
    };
    const Value weight = ops::select(ops::and_(inside(row, height), inside(column, width)),
                                     (1.0 - ops::abs(down - row)) * (1.0 - ops::abs(across - column)), 0.0);
    const auto bounded_index = [&](const Value& v, int64_t size) {
      return ops::convert(ops::min(ops::max(v, 0.0), static_cast<double>(size - 1)), i64);
    };
    const Value index = base + bounded_index(row, height) * static_cast<double>(width) + bounded_index(column, width);
    const Value part = ops::gather(pixels, index, 0);  // places + [each]
    const Value scaled = part * broadcast(ops::reshape(weight, {n, areas, taps, rows, columns, 1}), part.shape());
    sampled = sampled ? sampled + scaled : scaled;
  }
  if (mask) {
    const Value factor = ops::reshape(ops::as_type(mask, type), {n, areas, taps, rows, columns, 1});
    sampled = sampled * broadcast(factor, sampled.shape());
  }
  // [n, areas, taps, rows, columns, each] -> [groups, channels / groups, taps, n rows columns]
  Value patches =
      ops::reshape(ops::transpose(sampled, {1, 5, 2, 0, 3, 4}), {groups, channels / groups * taps, n * rows * columns});
  const int64_t filters = w.shape()[0] / groups;
  const Value weights = ops::reshape(ops::as_type(w, type), {groups, filters, channels / groups * taps});
  const Value y = ops::reshape(ops::dot_general(weights, patches), {groups * filters, n, rows, columns});
  return ops::as_type(ops::transpose(y, {1, 0, 2, 3}), given.dtype());
}

}  // namespace trireme::formats
