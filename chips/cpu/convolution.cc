// Convolutions as matrix products: y[o, pixel] = sum over (c, kernel position) of w[o, c, position] x[c, pixel moved].
// The weights are packed once (ahead, when they are known); the columns of the right-hand matrix are gathered from the
// image block by block, straight into the panels of the micro kernel. Depthwise convolutions run directly.
#include <algorithm>
#include <cstring>
#include <memory>

#include "chips/cpu/gemm.h"
#include "chips/cpu/kernel.h"
#include "chips/cpu/loops.h"
#include "chips/cpu/tile_float.h"

namespace trireme::cpu {
namespace {

// Sizes with three spatial axes; missing ones are 1 and come first.
struct Geometry {
  uint32_t in_x, in_w, out;  // values
  DType type;
  int64_t images, channels, outputs, groups;
  std::array<int64_t, 3> size, kernel, pixels, stride, low, dilation, spread;  // spread: input dilation
  std::array<int64_t, 5> x_strides;
  int64_t group_channels() const { return channels / groups; }
  int64_t group_outputs() const { return outputs / groups; }
  int64_t positions() const { return kernel[0] * kernel[1] * kernel[2]; }
  int64_t inner() const { return group_channels() * positions(); }  // length of a sum
  int64_t pixel_count() const { return pixels[0] * pixels[1] * pixels[2]; }
};

Geometry geometry_of(const Program& program, const NodeView& node) {
  const TrmValue x = program.value(node.inputs()[0]), w = program.value(node.inputs()[1]),
                 y = program.value(node.outputs()[0]);
  Geometry g{node.inputs()[0],
             node.inputs()[1],
             node.outputs()[0],
             dtype_of(x),
             x.dims[0],
             x.dims[1],
             w.dims[0],
             node.integer("groups"),
             {},
             {},
             {},
             {},
             {},
             {},
             {},
             {}};
  const uint32_t spatial = x.rank - 2, missing = 3 - spatial;
  g.size.fill(1), g.kernel.fill(1), g.pixels.fill(1), g.stride.fill(1), g.low.fill(0), g.dilation.fill(1),
      g.spread.fill(1);
  g.x_strides = {x.strides[0], x.strides[1], 0, 0, 0};
  const auto strides = node.integers("strides"), low = node.integers("low"), dilation = node.integers("dilation"),
             spread = node.integers("input_dilation");
  for (uint32_t a = 0; a < spatial; ++a) {
    const size_t to = a + missing;
    g.size[to] = x.dims[a + 2];
    g.kernel[to] = w.dims[a + 2];
    g.pixels[to] = y.dims[a + 2];
    g.x_strides[to + 2] = x.strides[a + 2];
    if (!strides.empty()) g.stride[to] = strides[a];
    if (!low.empty()) g.low[to] = low[a];
    if (!dilation.empty()) g.dilation[to] = dilation[a];
    if (!spread.empty()) g.spread[to] = spread[a];
  }
  return g;
}

// Position in the input along one axis, or -1 where the padding or a gap is.
int64_t source_index(const Geometry& g, size_t axis, int64_t pixel, int64_t position) {
  const int64_t at = pixel * g.stride[axis] - g.low[axis] + position * g.dilation[axis];
  if (at < 0 || at % g.spread[axis] != 0) return -1;
  return at / g.spread[axis] < g.size[axis] ? at / g.spread[axis] : -1;
}

// Widens `count` elements of a row of the image.
template <class T>
void load_row(T* to, const std::byte* from, DType type, int64_t stride, int64_t count) {
  if (type == f16 || type == bf16) {
    if constexpr (std::is_same_v<T, float>) {
      if (stride == 1) return load_half_floats(to, from, static_cast<size_t>(count), type == bf16);
      const auto* items = reinterpret_cast<const uint16_t*>(from);
      for (int64_t i = 0; i < count; ++i) load_half_floats(to + i, items + i * stride, 1, type == bf16);
    }
    return;
  }
  const T* items = reinterpret_cast<const T*>(from);
  if (stride == 1) std::memcpy(to, items, static_cast<size_t>(count) * sizeof(T));
  else
    for (int64_t i = 0; i < count; ++i) to[i] = items[i * stride];
}

// A run of neighbouring pixels of one image row: columns [column, column + count) of the right-hand matrix.
struct PixelRun {
  int64_t image, depth, height, width, column, count;
};

template <class T>
class Convolution {
 public:
  Convolution(const Geometry& g, const TrmValue& w) : g_(g), w_(w) {
    if (w.known) packed_ = pack(w.constant_data);
    flat_ = g_.pixel_count() < 128 && g_.images > 1;
    columns_ = flat_ ? g_.images * g_.pixel_count() : g_.pixel_count();
    blocks_ = (columns_ + kBlockColumns - 1) / kBlockColumns;
    const int64_t width = micro_kernel<T>().columns, rows = micro_kernel<T>().rows;
    column_step_ = blocks_ == 0 ? width : round_up((columns_ + blocks_ - 1) / blocks_, width);
    const int64_t tasks = g_.groups * (flat_ ? 1 : g_.images) * blocks_;
    const int64_t wanted = 2 * static_cast<int64_t>(host->threads());
    row_pieces_ = std::clamp<int64_t>(tasks >= wanted ? 1 : wanted / std::max<int64_t>(1, tasks), 1,
                                      (g_.group_outputs() + rows - 1) / rows);
    row_step_ = round_up((g_.group_outputs() + row_pieces_ - 1) / row_pieces_, rows);
  }

  void run(void* const* values) const {
    if (g_.images * g_.pixel_count() * g_.outputs == 0) return;
    auto* y = static_cast<std::byte*>(values[g_.out]);
    if (g_.inner() == 0) {
      std::memset(y, 0, static_cast<size_t>(g_.images * g_.outputs * g_.pixel_count()) * size_of(g_.type));
      return;
    }
    const auto weights = packed_ ? packed_ : pack(values[g_.in_w]);
    const auto* x = static_cast<const std::byte*>(values[g_.in_x]);
    const int64_t images = flat_ ? 1 : g_.images;
    const double flops = 2.0 * static_cast<double>(row_step_ * column_step_) * static_cast<double>(g_.inner());
    parallel_for(g_.groups * images * blocks_ * row_pieces_, static_cast<int64_t>(5e5 / flops) + 1,
                 [&](int64_t begin, int64_t end) {
                   for (int64_t task = begin; task < end; ++task) {
                     const int64_t piece = task % row_pieces_, block = task / row_pieces_ % blocks_;
                     const int64_t image = task / row_pieces_ / blocks_ % images,
                                   group = task / row_pieces_ / blocks_ / images;
                     const int64_t row = piece * row_step_, rows = std::min(row_step_, g_.group_outputs() - row);
                     const int64_t column = block * column_step_, columns = std::min(column_step_, columns_ - column);
                     if (rows > 0 && columns > 0)
                       compute(x, y, *(*weights)[static_cast<size_t>(group)], group, image, row, rows, column, columns);
                   }
                 });
  }

 private:
  using Weights = std::vector<std::unique_ptr<PackedMatrix<T>>>;  // one matrix per group

  std::shared_ptr<const Weights> pack(const void* memory) const {
    const DenseInput dense(w_, memory);  // w may be a turned or mirrored view
    auto weights = std::make_shared<Weights>();
    for (int64_t group = 0; group < g_.groups; ++group) {
      const MatrixView left = MatrixView{dense.data(), g_.type, g_.inner(), 1}.at(group * g_.group_outputs(), 0);
      weights->push_back(
          std::make_unique<PackedMatrix<T>>(left.transposed(), g_.inner(), g_.group_outputs(), micro_kernel<T>().rows));
    }
    return weights;
  }

  void compute(const std::byte* x, std::byte* y, const PackedMatrix<T>& weights, int64_t group, int64_t image,
               int64_t row, int64_t rows, int64_t column, int64_t columns) const {
    thread_local std::vector<PixelRun> runs;
    list_runs(runs, image, column, columns);
    const std::byte* channels =
        x + group * g_.group_channels() * g_.x_strides[1] * static_cast<int64_t>(size_of(g_.type));
    const int64_t width = micro_kernel<T>().columns;
    const auto a_source = [&](int64_t r, int64_t, int64_t p, int64_t) { return weights.slice(p, row + r); };
    const auto b_source = [&](int64_t, int64_t, int64_t p, int64_t inner) {
      auto* panels = reinterpret_cast<T*>(
          thread_scratch(kPackScratchB, static_cast<size_t>((kBlockColumns + width) * kInner) * sizeof(T)));
      gather(channels, runs, columns, p, inner, width, panels);
      return static_cast<const T*>(panels);
    };
    const int64_t pixel_count = g_.pixel_count();
    const int64_t first_output = group * g_.group_outputs() + row;
    if (!flat_ && register_type(g_.type) == g_.type) {
      T* target = reinterpret_cast<T*>(y) + (image * g_.outputs + first_output) * pixel_count + column;
      multiply_blocks<T>(rows, columns, g_.inner(), a_source, b_source, target, pixel_count);
      return;
    }
    auto* block = reinterpret_cast<T*>(thread_scratch(kBlockScratch, static_cast<size_t>(rows * columns) * sizeof(T)));
    multiply_blocks<T>(rows, columns, g_.inner(), a_source, b_source, block, columns);
    for (int64_t at = 0; at < columns;) {
      const int64_t n = flat_ ? (column + at) / pixel_count : image,
                    pixel = flat_ ? (column + at) % pixel_count : column + at;
      const int64_t here = std::min(columns - at, pixel_count - pixel);
      for (int64_t r = 0; r < rows; ++r) {
        store_run(y, (n * g_.outputs + first_output + r) * pixel_count + pixel, block + r * columns + at, here);
      }
      at += here;
    }
  }

  void store_run(std::byte* y, int64_t at, const T* from, int64_t count) const {
    if constexpr (std::is_same_v<T, float>) {
      if (g_.type != f32) return store_half_floats(y + at * 2, from, static_cast<size_t>(count), g_.type == bf16);
    }
    std::copy_n(from, count, reinterpret_cast<T*>(y) + at);
  }

  void list_runs(std::vector<PixelRun>& runs, int64_t image, int64_t column, int64_t columns) const {
    runs.clear();
    for (int64_t at = 0; at < columns;) {
      int64_t pixel = column + at;
      const int64_t n = flat_ ? pixel / g_.pixel_count() : image;
      pixel %= g_.pixel_count();
      const int64_t width = pixel % g_.pixels[2], height = pixel / g_.pixels[2] % g_.pixels[1];
      const int64_t count = std::min(columns - at, g_.pixels[2] - width);
      runs.push_back({n, pixel / g_.pixels[2] / g_.pixels[1], height, width, at, count});
      at += count;
    }
  }

  // Rows [p, p + inner) of the right-hand matrix, into panels: line by line of the output, or, when the kernel's lines
  // are the longer ones (gradients of weights), line by line of the kernel.
  void gather(const std::byte* channels, const std::vector<PixelRun>& runs, int64_t columns, int64_t p, int64_t inner,
              int64_t width, T* panels) const {
    if (g_.kernel[2] >= 8 && g_.kernel[2] > g_.pixels[2] && g_.dilation[2] == 1 && g_.spread[2] == 1) {
      return gather_kernel_lines(channels, runs, columns, p, inner, width, panels);
    }
    const auto item = static_cast<int64_t>(size_of(g_.type));
    const auto [kd, kh, kw] = g_.kernel;
    T row[kBlockColumns];
    for (int64_t k = 0; k < inner; ++k) {
      const int64_t w = (p + k) % kw, h = (p + k) / kw % kh, d = (p + k) / kw / kh % kd,
                    channel = (p + k) / kw / kh / kd;
      for (const PixelRun& run : runs) {
        const int64_t depth = source_index(g_, 0, run.depth, d), height = source_index(g_, 1, run.height, h);
        T* to = row + run.column;
        if (depth < 0 || height < 0) {
          std::fill_n(to, run.count, T{0});
          continue;
        }
        const std::byte* line = channels + item * (run.image * g_.x_strides[0] + channel * g_.x_strides[1] +
                                                   depth * g_.x_strides[2] + height * g_.x_strides[3]);
        gather_line(to, line, run, w);
      }
      for (int64_t j = 0; j < columns; j += width) {
        T* to = panels + j * inner + k * width;
        const int64_t used = std::min(width, columns - j);
        std::copy_n(row + j, used, to);
        std::fill_n(to + used, width - used, T{0});
      }
    }
  }

  void gather_kernel_lines(const std::byte* channels, const std::vector<PixelRun>& runs, int64_t columns, int64_t p,
                           int64_t inner, int64_t width, T* panels) const {
    const auto item = static_cast<int64_t>(size_of(g_.type));
    const auto [kd, kh, kw] = g_.kernel;
    T line[kInner];
    if (columns % width != 0) std::fill_n(panels + columns / width * width * inner, width * inner, T{0});
    for (int64_t k = 0; k < inner;) {
      const int64_t w = (p + k) % kw, h = (p + k) / kw % kh, d = (p + k) / kw / kh % kd,
                    channel = (p + k) / kw / kh / kd;
      const int64_t run_length = std::min(inner - k, kw - w);
      for (const PixelRun& run : runs) {
        const int64_t depth = source_index(g_, 0, run.depth, d), height = source_index(g_, 1, run.height, h);
        const std::byte* from = channels + item * (run.image * g_.x_strides[0] + channel * g_.x_strides[1] +
                                                   depth * g_.x_strides[2] + height * g_.x_strides[3]);
        for (int64_t i = 0; i < run.count; ++i) {
          const int64_t start = (run.width + i) * g_.stride[2] - g_.low[2] + w;
          const int64_t first = depth < 0 || height < 0 ? run_length : std::clamp<int64_t>(-start, 0, run_length);
          const int64_t last = std::clamp<int64_t>(g_.size[2] - start, first, run_length);
          std::fill_n(line, first, T{0});
          if (last > first) {
            load_row(line + first, from + (start + first) * g_.x_strides[4] * item, g_.type, g_.x_strides[4],
                     last - first);
          }
          std::fill_n(line + last, run_length - last, T{0});
          const int64_t column = run.column + i;
          T* to = panels + column / width * width * inner + k * width + column % width;
          for (int64_t t = 0; t < run_length; ++t) to[t * width] = line[t];
        }
      }
      k += run_length;
    }
  }

  // Pixels of one run from one line of the input.
  void gather_line(T* to, const std::byte* line, const PixelRun& run, int64_t w) const {
    const auto item = static_cast<int64_t>(size_of(g_.type));
    const int64_t step = g_.x_strides[4];
    if (g_.spread[2] != 1) {
      for (int64_t i = 0; i < run.count; ++i) {
        const int64_t at = source_index(g_, 2, run.width + i, w);
        if (at < 0) to[i] = T{0};
        else load_row(to + i, line + at * step * item, g_.type, 1, 1);
      }
      return;
    }
    // at = start + i stride must lie in [0, size).
    const int64_t stride = g_.stride[2], start = run.width * stride - g_.low[2] + w * g_.dilation[2];
    const int64_t first = std::clamp<int64_t>(start >= 0 ? 0 : (-start + stride - 1) / stride, 0, run.count);
    const int64_t last =
        std::clamp<int64_t>(start >= g_.size[2] ? 0 : (g_.size[2] - start + stride - 1) / stride, first, run.count);
    std::fill_n(to, first, T{0});
    load_row(to + first, line + (start + first * stride) * step * item, g_.type, stride * step, last - first);
    std::fill_n(to + last, run.count - last, T{0});
  }

  Geometry g_;
  TrmValue w_;
  std::shared_ptr<const Weights> packed_;
  bool flat_;  // small images: the columns run through the pixels of all of them
  int64_t columns_, blocks_, column_step_, row_pieces_, row_step_;
};

// One input channel per group: every kernel position adds a scaled line to a line.
template <class T>
Run depthwise(const Geometry& g, const TrmValue& w) {
  return [g, w](void* const* values) {
    const T* x = static_cast<const T*>(values[g.in_x]);
    const T* weights = static_cast<const T*>(values[g.in_w]);
    T* y = static_cast<T*>(values[g.out]);
    const uint32_t missing = 5 - w.rank;
    const auto w_stride = [&](uint32_t axis) { return axis < missing ? 0 : w.strides[axis - missing + 2]; };
    const auto& kernel = micro_kernel<T>();
    parallel_for(g.images * g.outputs, grain_for(g.pixel_count() * g.positions() / 4), [&](int64_t begin, int64_t end) {
      for (int64_t plane = begin; plane < end; ++plane) {
        const int64_t image = plane / g.outputs, output = plane % g.outputs, channel = output / g.group_outputs();
        const T* source = x + image * g.x_strides[0] + channel * g.x_strides[1];
        T* target = y + plane * g.pixel_count();
        std::fill_n(target, g.pixel_count(), T{0});
        for (int64_t od = 0; od < g.pixels[0]; ++od) {
          for (int64_t oh = 0; oh < g.pixels[1]; ++oh) {
            T* line = target + (od * g.pixels[1] + oh) * g.pixels[2];
            for (int64_t position = 0; position < g.positions(); ++position) {
              const int64_t kw = position % g.kernel[2], kh = position / g.kernel[2] % g.kernel[1],
                            kd = position / g.kernel[2] / g.kernel[1];
              const int64_t depth = source_index(g, 0, od, kd), height = source_index(g, 1, oh, kh);
              if (depth < 0 || height < 0) continue;
              const T scale = weights[output * w.strides[0] + kd * w_stride(0) + kh * w_stride(1) + kw * w_stride(2)];
              const int64_t stride = g.stride[2], start = kw * g.dilation[2] - g.low[2];
              const int64_t first = std::min(g.pixels[2], start >= 0 ? 0 : (-start + stride - 1) / stride);
              const int64_t last =
                  start >= g.size[2] ? 0 : std::min(g.pixels[2], (g.size[2] - start + stride - 1) / stride);
              const T* from = source + depth * g.x_strides[2] + height * g.x_strides[3] + start * g.x_strides[4];
              const int64_t step = stride * g.x_strides[4];
              if (step == 1 && last > first) kernel.add_scaled(last - first, scale, from + first, line + first);
              else
                for (int64_t i = first; i < last; ++i) line[i] += scale * from[i * step];
            }
          }
        }
      }
    });
  };
}

Run prepare_convolution(const Program& program, const NodeView& node) {
  const Geometry g = geometry_of(program, node);
  const TrmValue w = program.value(g.in_w);
  const bool direct = g.group_channels() == 1 && g.group_outputs() <= 2 && g.spread == std::array<int64_t, 3>{1, 1, 1};
  if (g.type == f64) {
    if (direct) return depthwise<double>(g, w);
    return [c = std::make_shared<Convolution<double>>(g, w)](void* const* values) { c->run(values); };
  }
  if (direct && g.type == f32) return depthwise<float>(g, w);
  return [c = std::make_shared<Convolution<float>>(g, w)](void* const* values) { c->run(values); };
}

double flops_of_convolution(const Program& program, const NodeView& node) {
  const Geometry g = geometry_of(program, node);
  return 2.0 * static_cast<double>(g.images * g.outputs * g.pixel_count()) * static_cast<double>(g.inner());
}

constexpr KernelEntry kTable[] = {{"convolution", floats, false, prepare_convolution, flops_of_convolution}};

}  // namespace

std::span<const KernelEntry> convolution_kernels() { return kTable; }

}  // namespace trireme::cpu
