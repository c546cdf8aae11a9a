// Convolutions and their relatives.
#include "trireme/base/strings.h"
#include "trireme/formats/deformable.h"
#include "trireme/formats/onnx/call.h"
#include "trireme/formats/onnx/ops/quantization.h"
#include "trireme/formats/onnx/ops/windows.h"

namespace trireme::formats::onnx {

namespace {

// Pads of either sign: positive ones add zeros, negative ones cut.
Value padded(const Value& x, const Ints& low, const Ints& high, const Ints& interior, double value) {
  const auto rank = static_cast<size_t>(x.shape().rank());
  Ints before(rank, 0), after(rank, 0), begin(rank, 0), one(rank, 1);
  for (size_t a = 0; a < rank; ++a) {
    before[a] = std::max<int64_t>(low[a], 0);
    after[a] = std::max<int64_t>(high[a], 0);
  }
  const Value wide = ops::pad(x, before, after, interior, value);
  Ints end = wide.shape().vector();
  for (size_t a = 0; a < rank; ++a) {
    begin[a] = std::max<int64_t>(-low[a], 0);
    end[a] -= std::max<int64_t>(-high[a], 0);
  }
  return ops::slice(wide, begin, end, one);
}

Value convolve(const Value& x, const Value& w, const Window& window, int64_t groups) {
  const Ints one(window.kernel.size(), 1);
  Ints low = window.low, high = window.high;
  Value image = x;
  if (std::any_of(low.begin(), low.end(), [](int64_t n) { return n < 0; }) ||
      std::any_of(high.begin(), high.end(), [](int64_t n) { return n < 0; })) {
    Ints before = {0, 0}, after = {0, 0};
    before.insert(before.end(), low.begin(), low.end());
    after.insert(after.end(), high.begin(), high.end());
    image = padded(x, before, after, Ints(before.size(), 0), 0.0);
    low.assign(low.size(), 0);
    high = low;
  }
  return ops::convolution(image, w, window.strides, low, high, window.dilations, one, groups);
}

Value with_bias(const Value& y, const Value& bias) {
  return bias ? y + broadcast(ops::along_axis(bias, 1, y.shape().rank()), y.shape()) : y;
}

void check_convolution(Call& c, const Shape& x, const Shape& w) {
  c.require(x.rank() >= 3 && w.rank() == x.rank(), cat("x is ", x, ", W is ", w));
  if (x.rank() > 5) c.unsupported("more than three spatial axes");
}

void conv(Call& c) {
  check_convolution(c, c.shape(0), c.shape(1));
  const Window window = window_of(c, c.shape(0), Ints(c.shape(1).begin() + 2, c.shape(1).end()));
  c.result(with_bias(convolve(c.x(0), c.x(1), window, c.integer("group", 1)), c.maybe(2)));
}

// Integers in f32 where the sums stay exact, else in f64.
Value convolve_integers(Call& c, const Value& x, const Value& w) {
  check_convolution(c, x.shape(), w.shape());
  const Window window = window_of(c, x.shape(), Ints(w.shape().begin() + 2, w.shape().end()));
  const int64_t terms = w.shape()[0] == 0 ? 0 : w.shape().elements() / w.shape()[0];
  const DType type = terms <= (1 << 24) / (255 * 255) ? f32 : f64;
  return ops::convert(convolve(ops::convert(x, type), ops::convert(w, type), window, c.integer("group", 1)), i32);
}

Value without_zero_point(const Value& x, const Value& zero, bool per_filter) {
  const Value whole = ops::convert(x, i32);
  if (!zero) return whole;
  Value z = ops::convert(zero, i32);
  z = z.shape().elements() == 1 ? ops::reshape(z, {}) : per_filter ? ops::along_axis(z, 0, x.shape().rank()) : z;
  return whole - broadcast(z, x.shape());
}

void conv_integer(Call& c) {
  c.result(convolve_integers(c, without_zero_point(c.x(0), c.maybe(2), false),
                             without_zero_point(c.x(1), c.maybe(3), true)));
}

void qlinear_conv(Call& c) {
  // x, x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale, y_zero_point, B
  Value sum = convolve_integers(c, without_zero_point(c.x(0), c.x(2), false), without_zero_point(c.x(3), c.x(5), true));
  sum = with_bias(sum, c.maybe(8));
  const auto scalar = [&](int input) { return ops::reshape(ops::as_type(c.x(input), f32), {}); };
  const Value w_scale = c.shape(4).elements() == 1
                            ? broadcast(scalar(4), sum.shape())
                            : broadcast(ops::along_axis(c.x(4), 1, sum.shape().rank()), sum.shape());
  const Value real = ops::convert(sum, f32) * (w_scale * broadcast(scalar(1), sum.shape()));
  const Value y = ops::round_even(real / broadcast(scalar(6), real.shape()));
  c.result(0, Item(c.elem(7), saturated(y + broadcast(scalar(7), y.shape()), c.elem(7))));
}

// Each element of x spreads the kernel over y: the convolution of x, dilated by the strides, with the turned kernel.
void conv_transpose(Call& c) {
  const Value &x = c.x(0), &w = c.x(1);
  check_convolution(c, x.shape(), w.shape());
  const auto axes = static_cast<size_t>(x.shape().rank() - 2);
  const int64_t groups = c.integer("group", 1);
  c.require(groups >= 1 && x.shape()[1] == w.shape()[0] && x.shape()[1] % groups == 0, "channels and groups");
  const auto list = [&](std::string_view name, int64_t missing) {
    const Ints out = c.integers(name, Ints(axes, missing));
    c.require(out.size() == axes, cat(name, " has one entry per spatial axis"));
    return out;
  };
  const Ints strides = list("strides", 1), dilations = list("dilations", 1), extra = list("output_padding", 0);
  const Ints pads = c.integers("pads", Ints(2 * axes, 0)), sizes = c.integers("output_shape");
  c.require(pads.size() == 2 * axes, "pads has two entries per spatial axis");
  const std::string automatic = c.string("auto_pad", "NOTSET");
  Ints low(2, 0), high(2, 0), interior(2, 0), spatial;
  for (size_t a = 0; a < axes; ++a) {
    const int axis = static_cast<int>(a) + 2;
    const int64_t image = x.shape()[axis], kernel = w.shape()[axis];
    c.require(strides[a] >= 1 && dilations[a] >= 1 && image >= 1 && kernel >= 1,
              "strides, dilations and sizes are 1 or more");
    const int64_t reach = bounded(Wide{kernel - 1} * dilations[a]);
    int64_t before = pads[a], after = pads[a + axes];
    const bool same = automatic == "SAME_UPPER" || automatic == "SAME_LOWER";
    if (!sizes.empty() || same) {
      const int64_t wanted = !sizes.empty() ? sizes[sizes.size() - axes + a] : bounded(Wide{image} * strides[a]);
      const int64_t total = std::max<int64_t>(0, bounded(Wide{image - 1} * strides[a] + extra[a] + reach + 1 - wanted));
      before = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
      after = total - before;
      if (!sizes.empty() && bounded(Wide{image - 1} * strides[a] + extra[a] + reach + 1) < wanted) {
        after = bounded(Wide{image - 1} * strides[a] + extra[a] + reach + 1 - wanted);
        before = 0;
      }
    } else if (automatic == "VALID") {
      before = after = 0;
    }
    low.push_back(reach - before);
    high.push_back(reach - after + extra[a]);
    interior.push_back(strides[a] - 1);
    spatial.push_back(axis);
  }
  const int64_t inputs = w.shape()[0] / groups, outputs = w.shape()[1];
  Ints split = {groups, inputs, outputs}, joined = {groups * outputs, inputs};
  for (size_t a = 0; a < axes; ++a) {
    split.push_back(w.shape()[static_cast<int>(a) + 2]);
    joined.push_back(split.back());
  }
  Ints order = ops::iota_axes(static_cast<int>(split.size()));
  std::swap(order[1], order[2]);
  const Value turned = ops::reshape(ops::transpose(ops::reshape(ops::reverse(w, spatial), split), order), joined);
  const bool plain = std::all_of(low.begin(), low.end(), [](int64_t n) { return n >= 0; }) &&
                     std::all_of(high.begin(), high.end(), [](int64_t n) { return n >= 0; });
  const Ints one(axes, 1), zero(axes, 0);
  const Ints strided(strides.begin(), strides.end());
  const Value y =
      plain ? ops::convolution(x, turned, one, Ints(low.begin() + 2, low.end()), Ints(high.begin() + 2, high.end()),
                               dilations, strided, groups)
            : ops::convolution(padded(x, low, high, interior, 0.0), turned, one, zero, zero, dilations, one, groups);
  c.result(with_bias(y, c.maybe(2)));
}

void deform_conv(Call& c) {
  const Shape &image = c.shape(0), &w = c.shape(1);
  if (image.rank() != 4) c.unsupported("deformable convolution of other than two spatial axes");
  const Window window = window_of(c, image, Ints(w.begin() + 2, w.end()));
  c.result(with_bias(deformable_convolution(c.x(0), c.x(1), c.x(2), c.maybe(4),
                                            {window.strides, window.low, window.dilations, c.integer("group", 1),
                                             c.integer("offset_group", 1)}),
                     c.maybe(3)));
}

// Blocks of columns added up where they overlap.
void col2im(Call& c) {
  const Value& x = c.x(0);
  const Ints image = c.known_ints(1), block = c.known_ints(2);
  const auto axes = image.size();
  c.require(x.shape().rank() == 3 && block.size() == axes && axes >= 1, "x is [N, C block, L]");
  if (axes > 6) c.unsupported("more than six spatial axes");
  const Ints strides = c.integers("strides", Ints(axes, 1)), dilations = c.integers("dilations", Ints(axes, 1)),
             pads = c.integers("pads", Ints(2 * axes, 0));
  c.require(strides.size() == axes && dilations.size() == axes && pads.size() == 2 * axes, "one entry per axis");
  int64_t taps = 1;
  Ints counts;
  for (size_t a = 0; a < axes; ++a) {
    c.require(block[a] >= 1 && image[a] >= 1 && strides[a] >= 1 && dilations[a] >= 1, "sizes and steps are 1 or more");
    taps = bounded(Wide{taps} * block[a]);
    const int64_t room = bounded(Wide{image[a]} + pads[a] + pads[a + axes] - Wide{block[a] - 1} * dilations[a] - 1);
    c.require(room >= 0, "the block is larger than the image");
    counts.push_back(room / strides[a] + 1);
  }
  if (taps > 4096) c.unsupported("blocks of more than 4096 elements");
  c.require(taps >= 1 && x.shape()[1] % taps == 0 && Shape(counts).elements() == x.shape()[2],
            cat("x is ", x.shape(), "; blocks of ", block, " at ", counts, " places"));
  const int64_t channels = x.shape()[1] / taps;
  Ints shape = {x.shape()[0], channels, taps};
  shape.insert(shape.end(), counts.begin(), counts.end());
  if (static_cast<int>(shape.size()) > kMaxRank) c.unsupported("too many axes");
  const Value columns = ops::reshape(x, shape);
  Ints each = shape;
  each.erase(each.begin() + 2);
  Value y;
  Ints tap(axes, 0);
  for (int64_t t = 0; t < taps; ++t) {
    Ints low = {0, 0}, high = {0, 0}, interior = {0, 0};
    for (size_t a = 0; a < axes; ++a) {
      const int64_t start = tap[a] * dilations[a];
      low.push_back(start - pads[a]);
      high.push_back(image[a] + pads[a] - start - ((counts[a] - 1) * strides[a] + 1));
      interior.push_back(strides[a] - 1);
    }
    const Value part = padded(ops::reshape(ops::slice_axis(columns, 2, t, t + 1), each), low, high, interior, 0.0);
    y = y ? y + part : part;
    for (size_t a = axes; a-- > 0;) {
      if (++tap[a] < block[a]) break;
      tap[a] = 0;
    }
  }
  c.result(y);
}

// A depthwise convolution over time that sees the past only; the last inputs are handed on.
void causal_conv(Call& c) {
  const Shape &x = c.shape(0), &w = c.shape(1);
  c.require(x.rank() == 3 && w.rank() == 3 && w[0] == x[1] && w[1] == 1 && w[2] >= 1,
            cat("input is ", x, ", weight is ", w));
  const int64_t past = w[2] - 1;
  const Value before = c.has(3) ? c.x(3) : ops::filled(c.dtype(0), {x[0], x[1], past}, 0.0);
  const Value all = past == 0 ? c.x(0) : ops::concat({before, c.x(0)}, 2);
  const DType type = ops::wide_type(c.dtype(0));
  Value y = ops::convolution(ops::as_type(all, type), ops::as_type(c.x(1), type), {1}, {0}, {0}, {1}, {1}, x[1]);
  if (c.has(2)) y = with_bias(y, ops::as_type(c.x(2), type));
  const std::string activation = c.string("activation", "none");
  if (activation == "silu" || activation == "swish") y = y * ops::logistic(y);
  else c.require(activation == "none", cat("activation '", activation, "'"));
  c.result(ops::as_type(y, c.dtype(0)));
  const int64_t length = all.shape()[2];
  c.result(1, ops::slice_axis(all, 2, length - past, length));
}

}  // namespace

std::span<const Mapping> convolution_mappings() {
  static constexpr Mapping table[] = {
      {"CausalConvWithState", causal_conv, 27},
      {"Col2Im", col2im, 18},
      {"Conv", conv},
      {"ConvInteger", conv_integer, 10},
      {"ConvTranspose", conv_transpose},
      {"DeformConv", deform_conv, 19},
      {"QLinearConv", qlinear_conv, 10},
  };
  return table;
}

}  // namespace trireme::formats::onnx
