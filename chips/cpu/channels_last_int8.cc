#include "chips/cpu/channels_last_int8.h"

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "chips/cpu/convolution.h"
#include "chips/cpu/product_int8.h"

namespace trireme::cpu {
namespace {

constexpr std::array<int64_t, 3> kOnes{1, 1, 1};

// The lines of the left matrix: for each output pixel the numbers under the kernel, position by position, the channels
// of a group side by side.
class Int8Pixels {
 public:
  Int8Pixels(const Geometry& g, const Int8Kernel& kernel, const XForm& form)
      : g_(g),
        kernel_(kernel),
        form_(form),
        pointwise_(g.positions() == 1 && g.stride == kOnes && g.spread == kOnes && g.pixels == g.size &&
                   g.low[1] == 0 && g.low[2] == 0),
        together_(g.dilation[2] == 1 && g.spread[2] == 1 && g.groups == 1 ? g.kernel[2] : 1),
        run_(together_ * g.group_channels()) {}

  // Int8Product::Lines.
  void operator()(const uint8_t* x, int64_t group, int64_t first, int64_t count, int64_t p, int64_t inner,
                  int32_t* panel) const {
    x += group * g_.group_channels();
    const int64_t slots = kernel_.slots(inner);
    if (pointwise_) {
      for (int64_t i = 0; i < count; ++i) {
        kernel_.put(form_, x + (first + i) * g_.channels + p, 0, inner, panel + i * slots);
      }
      return;
    }
    int64_t width = first % g_.pixels[2], height = first / g_.pixels[2] % g_.pixels[1],
            image = first / g_.pixels[2] / g_.pixels[1];
    for (int64_t i = 0; i < count; ++i, panel += slots) {
      line(x + image * g_.size[1] * g_.size[2] * g_.channels, height * g_.stride[1] - g_.low[1],
           width * g_.stride[2] - g_.low[2], p, inner, panel);
      if (++width < g_.pixels[2]) continue;
      width = 0;
      if (++height == g_.pixels[1]) height = 0, ++image;
    }
  }

 private:
  // One line: the kernel's first position reads from line `top`, element `side` of the image.
  void line(const uint8_t* image, int64_t top, int64_t side, int64_t p, int64_t inner, int32_t* to) const {
    const int64_t runs = g_.kernel[2] / together_;  // in a line of the kernel
    int64_t run = p / run_, skipped = p % run_;
    for (int64_t at = 0; at < inner; ++run, skipped = 0) {
      const int64_t count = std::min(inner - at, run_ - skipped);
      const int64_t y = source(1, top + run / runs * g_.dilation[1]);
      const int64_t from = together_ > 1 ? side : source(2, side + run % runs * g_.dilation[2]);
      // Of the elements [from, from + together_) those inside the image.
      const bool inside = y >= 0;
      const int64_t low = inside ? std::clamp<int64_t>(-from, 0, together_) : together_;
      const int64_t high = inside ? std::clamp<int64_t>(g_.size[2] - from, low, together_) : together_;
      const int64_t channels = g_.group_channels();
      const int64_t begin = std::clamp<int64_t>(low * channels - skipped, 0, count);
      const int64_t end = std::clamp<int64_t>(high * channels - skipped, begin, count);
      if (begin > 0) kernel_.put(form_, nullptr, at, begin, to);
      if (end > begin) {
        const uint8_t* pixel = image + (y * g_.size[2] + from) * g_.channels + skipped + begin;
        kernel_.put(form_, pixel, at + begin, end - begin, to);
      }
      if (count > end) kernel_.put(form_, nullptr, at + end, count - end, to);
      at += count;
    }
  }

  // Where along an axis of the image a position is found; -1: outside, or between two elements.
  int64_t source(size_t axis, int64_t at) const {
    const int64_t spread = g_.spread[axis];
    if (spread > 1) {  // divisions take their time
      if (at < 0 || at % spread != 0) return -1;
      at /= spread;
    }
    return at < g_.size[axis] ? std::max<int64_t>(at, -1) : -1;
  }

  Geometry g_;
  const Int8Kernel& kernel_;
  XForm form_;
  bool pointwise_;    // a pixel's line is the pixel
  int64_t together_;  // elements of a line of the kernel that are neighbours in memory
  int64_t run_;       // as many numbers
};

// The weights with the channels of a position side by side.
std::vector<int8_t> positions_first(const Geometry& g, const int8_t* w) {
  const int64_t positions = g.positions(), channels = g.group_channels();
  std::vector<int8_t> moved(static_cast<size_t>(g.outputs * g.inner()));
  auto to = moved.begin();
  for (int64_t o = 0; o < g.outputs; ++o, w += g.inner()) {
    for (int64_t position = 0; position < positions; ++position) {
      for (int64_t c = 0; c < channels; ++c) *to++ = w[c * positions + position];
    }
  }
  return moved;
}

AxisOrder order_for(const Program& program, const NodeView& node) {
  return channels_last_order(program.value(node.outputs()[0]).rank);
}

}  // namespace

bool runs_int8_channels_last(const Program& program, const NodeView& node) {
  const TrmValue x = program.value(node.inputs()[0]), w = program.value(node.inputs()[1]);
  if (!w.known || x.known || x.rank > 4 || !int8_kernel().put) return false;
  const Geometry g = geometry_of(program, node);
  return g.inner() > 0 && g.outputs > 1;  // an epilogue wants rows longer than one
}

void ask_int8_channels_last(const Program& program, const NodeView& node, TrmAnswer& answer) {
  const AxisOrder order = order_for(program, node);
  const TrmValue result = program.value(node.outputs()[0]);
  for (uint32_t i = 0; i < program.operand_count(); ++i) {
    const TrmValue v = program.operand(i);
    const bool image = i >= program.input_count() || program.input(i) == node.inputs()[0];
    const bool beside = chip::same_dims(v, result) && std::count(v.strides, v.strides + v.rank, 0) == 0;
    if ((image || beside) && !is_dense_in(v, order)) ask_order(program, i, order, answer);
  }
}

void check_int8_channels_last(const Program& program, const NodeView& node) {
  Epilogue::of(program, node.number(), order_for(program, node));
}

Run prepare_int8_channels_last(const Program& program, const NodeView& node) {
  const Geometry g = geometry_of(program, node);
  const TrmValue w = program.value(g.in_w);
  const Int8Kernel& kernel = int8_kernel_for(w);
  const XForm form{g.type == i8, static_cast<int32_t>(node.integer("x_zero_point"))};
  const Int8Product::Sizes sizes{g.groups, g.images * g.pixel_count(), g.group_outputs(), g.inner(),
                                 0,        g.group_outputs()};
  const Int8Product product(kernel, form, sizes, Epilogue::of(program, node.number(), order_for(program, node)), g.out,
                            Int8Pixels(g, kernel, form));
  const DenseInput dense(w, w.constant_data);
  const std::vector<int8_t> weights = positions_first(g, static_cast<const int8_t*>(dense.data()));
  std::vector<std::shared_ptr<const Int8Product::Weights>> packed;
  for (int64_t group = 0; group < g.groups; ++group) {
    packed.push_back(product.pack(weights.data() + group * g.group_outputs() * g.inner(), 1, g.inner()));
  }
  return [product, packed, x = g.in_x](void* const* values) {
    product.run(values, static_cast<const uint8_t*>(values[x]), packed);
  };
}

}  // namespace trireme::cpu
