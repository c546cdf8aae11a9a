// The right-hand matrix of a convolution: row (c, kernel position), column pixel: the input value that position meets.
// It never exists as a whole; blocks of columns are gathered slice by slice into the panels of the micro kernel.
#pragma once

#include <bit>
#include <cstring>

#include "chips/cpu/convolution.h"
#include "chips/cpu/gemm.h"

namespace trireme::cpu {

template <class T>
class ImageColumns {
 public:
  // Same sizes in and out, steps of 1, rows without gaps: a row of the matrix is then the image itself, shifted.
  explicit ImageColumns(const Geometry& g) : g_(g) {
    const std::array<int64_t, 3> ones{1, 1, 1};
    by_kernel_lines_ = g.kernel[2] >= 8 && g.kernel[2] > g.pixels[2] && g.dilation[2] == 1 && g.spread[2] == 1;
    by_shifts_ = register_type(g.type) == g.type && g.stride == ones && g.spread == ones && g.kernel[0] == 1 &&
                 g.size[0] == 1 && g.pixels[0] == 1 && g.pixels[2] == g.size[2] && g.x_strides[4] == 1 &&
                 g.x_strides[3] == g.size[2];
  }

  // The micro kernel the columns are packed for.
  const MicroKernel<T>& kernel() const { return by_kernel_lines_ ? micro_kernel<T>() : micro_kernel<T>(g_.type); }

  // Columns [column, column + count <= kBlockColumns) of one group. Columns run through the pixels of `image`, or, when
  // it is -1, through the pixels of all images.
  struct Run {  // neighbouring pixels of one image line; positions are where kernel position 0 reads, before spreading
    int64_t column, count, image_offset, depth, height, width;
  };
  struct Block {
    const std::byte* channels = nullptr;
    int64_t image = 0, column = 0, columns = 0;
    std::vector<Run> runs;
  };
  void list(Block& block, const std::byte* x, int64_t group, int64_t image, int64_t column, int64_t columns) const {
    block.channels = x + group * g_.group_channels() * g_.x_strides[1] * item_;
    block.image = image;
    block.column = column;
    block.columns = columns;
    block.runs.clear();
    if (by_shifts_) return;
    for (int64_t at = 0; at < columns;) {
      const auto [n, pixel] = split(image, column + at);
      const int64_t width = pixel % g_.pixels[2], height = pixel / g_.pixels[2] % g_.pixels[1];
      const int64_t depth = pixel / g_.pixels[2] / g_.pixels[1];
      const int64_t count = std::min(columns - at, g_.pixels[2] - width);
      block.runs.push_back({at, count, n * g_.x_strides[0], depth * g_.stride[0] - g_.low[0],
                            height * g_.stride[1] - g_.low[1], width * g_.stride[2] - g_.low[2]});
      at += count;
    }
  }

  // Rows [p, p + inner <= kInner) of the block's columns.
  void pack(const Block& block, int64_t p, int64_t inner, T* panels) const {
    const MicroKernel<T>& kernel = this->kernel();
    const int64_t width = kernel.columns, slots = kernel.slots(inner);
    if (by_kernel_lines_) return pack_kernel_lines(block, p, inner, width, panels);
    const auto [kd, kh, kw] = g_.kernel;
    T row[kBlockColumns], odd[kBlockColumns];
    int64_t w = p % kw, h = p / kw % kh, d = p / kw / kh % kd, channel = p / kw / kh / kd;
    for (int64_t k = 0; k < inner; ++k) {
      T* to = k % kernel.per_slot == 0 ? row : odd;
      if (by_shifts_) shifted_row(block, channel, h, w, to);
      else gathered_row(block, channel, d, h, w, to);
      if (to == odd) pair(row, odd, block.columns);
      else if (kernel.per_slot == 2 && k + 1 == inner) pair(row, nullptr, block.columns);
      if (kernel.per_slot == 1 || to == odd || k + 1 == inner) {
        store_row(row, block.columns, width, slots, panels + k / kernel.per_slot * width);
      }
      if (++w < kw) continue;
      w = 0;
      if (++h < kh) continue;
      h = 0;
      if (++d < kd) continue;
      d = 0;
      ++channel;
    }
    std::fill_n(row, block.columns, T{0});
    for (int64_t slot = (inner + kernel.per_slot - 1) / kernel.per_slot; slot < slots; ++slot) {
      store_row(row, block.columns, width, slots, panels + slot * width);
    }
  }

 private:
  // One row of each panel.
  static void store_row(const T* row, int64_t columns, int64_t width, int64_t slots, T* to) {
    for (int64_t j = 0; j < columns; j += width, to += slots * width) {
      const int64_t used = std::min(width, columns - j);
      std::copy_n(row + j, used, to);
      if (used < width) std::fill_n(to + used, width - used, T{0});
    }
  }

  // Two rows of widened bf16 become one row of pairs, the first in the low half; null: zeros.
  static void pair(T* even, const T* odd, int64_t columns) {
    if constexpr (std::is_same_v<T, float>) {
      for (int64_t i = 0; i < columns; ++i) even[i] = pair_of(even[i], odd ? odd[i] : 0.0F);
    }
  }

  std::pair<int64_t, int64_t> split(int64_t image, int64_t column) const {
    if (image >= 0) return {image, column};
    return {column / g_.pixel_count(), column % g_.pixel_count()};
  }

  // Index along an axis of the input, or -1 where the padding or a gap is.
  int64_t index(size_t axis, int64_t at) const {
    if (g_.spread[axis] != 1) {
      if (at % g_.spread[axis] != 0) return -1;
      at /= g_.spread[axis];
    }
    return at < g_.size[axis] ? at : -1;  // negative stays negative
  }

  void gathered_row(const Block& block, int64_t channel, int64_t d, int64_t h, int64_t w, T* row) const {
    for (const Run& run : block.runs) {
      const int64_t depth = index(0, run.depth + d * g_.dilation[0]),
                    height = index(1, run.height + h * g_.dilation[1]);
      T* to = row + run.column;
      if (depth < 0 || height < 0) {
        std::fill_n(to, run.count, T{0});
        continue;
      }
      gathered_line(to,
                    block.channels + item_ * (run.image_offset + channel * g_.x_strides[1] + depth * g_.x_strides[2] +
                                              height * g_.x_strides[3]),
                    run.width + w * g_.dilation[2], run.count);
    }
  }

  // `count` pixels of one line of the input, the first at `start`.
  void gathered_line(T* to, const std::byte* line, int64_t start, int64_t count) const {
    const int64_t step = g_.x_strides[4], stride = g_.stride[2];
    if (g_.spread[2] != 1) {
      for (int64_t i = 0; i < count; ++i) {
        const int64_t at = index(2, start + i * stride);
        if (at < 0) to[i] = T{0};
        else load_row(to + i, line + at * step * item_, g_.type, 1, 1);
      }
      return;
    }
    // start + i stride must lie in [0, size).
    int64_t first = 0, last = count;
    if (start < 0) first = std::min(count, (-start + stride - 1) / stride);
    if (start + (count - 1) * stride >= g_.size[2]) {
      last = start >= g_.size[2] ? first : std::max(first, (g_.size[2] - start + stride - 1) / stride);
    }
    std::fill_n(to, first, T{0});
    if (last > first) {
      load_row(to + first, line + (start + first * stride) * step * item_, g_.type, stride * step, last - first);
    }
    std::fill_n(to + last, count - last, T{0});
  }

  void shifted_row(const Block& block, int64_t channel, int64_t h, int64_t w, T* row) const {
    const int64_t width = g_.size[2], plane = g_.size[1] * width;
    const int64_t down = h * g_.dilation[1] - g_.low[1], right = w * g_.dilation[2] - g_.low[2];
    const int64_t shift = down * width + right;
    // Pixels whose line is inside, and whose element is inside the plane at all.
    const int64_t top = std::max<int64_t>(0, -down) * width, bottom = std::min(g_.pixels[1], g_.size[1] - down) * width;
    const int64_t from = std::max(top, -shift), to = std::min(bottom, plane - shift);
    for (int64_t at = 0; at < block.columns;) {
      const auto [n, pixel] = split(block.image, block.column + at);
      const int64_t count = std::min(block.columns - at, g_.pixel_count() - pixel);
      const T* source = reinterpret_cast<const T*>(block.channels) + n * g_.x_strides[0] + channel * g_.x_strides[1];
      T* line = row + at;
      const int64_t first = std::clamp<int64_t>(from - pixel, 0, count),
                    last = std::clamp<int64_t>(to - pixel, first, count);
      std::fill_n(line, first, T{0});
      if (last > first)
        std::memcpy(line + first, source + pixel + first + shift, static_cast<size_t>(last - first) * sizeof(T));
      std::fill_n(line + last, count - last, T{0});
      // Columns that would read the neighbouring line.
      const int64_t outside = std::min(width, right < 0 ? -right : right);
      for (int64_t start = (right < 0 ? 0 : width - outside) - pixel % width; right != 0 && start < count;
           start += width) {
        for (int64_t i = std::max<int64_t>(0, start); i < std::min(count, start + outside); ++i) line[i] = T{0};
      }
      at += count;
    }
  }

  // When the kernel's lines are longer than the output's (gradients of weights), a column is gathered along k.
  void pack_kernel_lines(const Block& block, int64_t p, int64_t inner, int64_t width, T* panels) const {
    const auto [kd, kh, kw] = g_.kernel;
    T line[kInner];
    if (block.columns % width != 0) std::fill_n(panels + block.columns / width * width * inner, width * inner, T{0});
    for (int64_t k = 0; k < inner;) {
      const int64_t w = (p + k) % kw, h = (p + k) / kw % kh, d = (p + k) / kw / kh % kd,
                    channel = (p + k) / kw / kh / kd;
      const int64_t length = std::min(inner - k, kw - w);
      for (const Run& run : block.runs) {
        const int64_t depth = index(0, run.depth + d * g_.dilation[0]),
                      height = index(1, run.height + h * g_.dilation[1]);
        const std::byte* from = block.channels + item_ * (run.image_offset + channel * g_.x_strides[1] +
                                                          depth * g_.x_strides[2] + height * g_.x_strides[3]);
        for (int64_t i = 0; i < run.count; ++i) {
          const int64_t start = run.width + i * g_.stride[2] + w;
          const int64_t first = depth < 0 || height < 0 ? length : std::clamp<int64_t>(-start, 0, length);
          const int64_t last = std::clamp<int64_t>(g_.size[2] - start, first, length);
          std::fill_n(line, first, T{0});
          if (last > first) {
            load_row(line + first, from + (start + first) * g_.x_strides[4] * item_, g_.type, g_.x_strides[4],
                     last - first);
          }
          std::fill_n(line + last, length - last, T{0});
          const int64_t column = run.column + i;
          T* to = panels + column / width * width * inner + k * width + column % width;
          for (int64_t t = 0; t < length; ++t) to[t * width] = line[t];
        }
      }
      k += length;
    }
  }

  Geometry g_;
  int64_t item_ = static_cast<int64_t>(size_of(g_.type));
  bool by_kernel_lines_, by_shifts_;
};

}  // namespace trireme::cpu
