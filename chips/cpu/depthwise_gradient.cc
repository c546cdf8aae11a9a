#include "chips/cpu/depthwise_gradient.h"

#include <algorithm>

#include "chips/cpu/convolution.h"
#include "chips/cpu/outer_kernel.h"
#include "chips/cpu/tile_program.h"

namespace trireme::cpu {
namespace {

// In the terms of the node: its channels are the images of every group, its kernel the gradients, its result the
// weights. A plane of the image is copied into a frame of zeros, its columns sorted by their remainder by the step
// between gradients, so that the pixels of a line of gradients are neighbours for every weight.
class DepthwiseGradient {
 public:
  explicit DepthwiseGradient(const Geometry& g)
      : g_(g),
        height_((g.pixels[1] - 1) * g.stride[1] + (g.kernel[1] - 1) * g.dilation[1] + 1),
        width_((g.pixels[2] - 1) * g.stride[2] + (g.kernel[2] - 1) * g.dilation[2] + 1),
        line_((width_ + g.dilation[2] - 1) / g.dilation[2]),
        step_(line_ * g.dilation[2]) {}

  void run(void* const* values) const {
    const auto* image = static_cast<const float*>(values[g_.in_x]);
    const auto* gradients = static_cast<const float*>(values[g_.in_w]);
    auto* weights = static_cast<float*>(values[g_.out]);
    const int64_t plane = g_.size[1] * g_.size[2], positions = g_.kernel[1] * g_.kernel[2];
    const int64_t images = g_.group_channels(), outputs = g_.group_outputs(), taps = g_.pixel_count();
    parallel_for(g_.groups, grain_for(images * outputs * positions * taps / 8), [&](int64_t begin, int64_t end) {
      float* frame =
          reinterpret_cast<float*>(thread_scratch(kPackScratchA, static_cast<size_t>(height_ * step_) * sizeof(float)));
      std::fill_n(frame, height_ * step_, 0.0f);
      thread_local std::vector<double> sums;
      for (int64_t group = begin; group < end; ++group) {
        sums.assign(static_cast<size_t>(outputs * taps), 0.0);
        for (int64_t n = 0; n < images; ++n) {
          fill(frame, image + (group * images + n) * plane);
          for (int64_t o = 0; o < outputs; ++o) {
            const float* given = gradients + ((group * outputs + o) * images + n) * positions;
            for (int64_t t = 0; t < taps; ++t) sums[static_cast<size_t>(o * taps + t)] += sum(frame, t, given);
          }
        }
        std::transform(sums.begin(), sums.end(), weights + group * outputs * taps,
                       [](double sum) { return static_cast<float>(sum); });
      }
    });
  }

 private:
  // The margins hold zeros already.
  void fill(float* frame, const float* plane) const {
    const int64_t first = g_.low[2], last = std::min(width_, first + g_.size[2]), step = g_.dilation[2];
    for (int64_t y = 0; y < std::min(g_.size[1], height_ - g_.low[1]); ++y) {
      const float* from = plane + y * g_.size[2] - first;
      float* to = frame + (y + g_.low[1]) * step_;
      if (step == 1) {
        if (last > first) std::copy(from + first, from + last, to + first);
        continue;
      }
      for (int64_t x = first; x < last; ++x) to[x % step * line_ + x / step] = from[x];
    }
  }
  float sum(const float* frame, int64_t tap, const float* gradients) const {
    const int64_t y = tap / g_.pixels[2] * g_.stride[1], x = tap % g_.pixels[2] * g_.stride[2];
    return outer_kernel().inner(g_.kernel[1], g_.kernel[2],
                                frame + y * step_ + x % g_.dilation[2] * line_ + x / g_.dilation[2],
                                g_.dilation[1] * step_, gradients);
  }

  Geometry g_;
  int64_t height_, width_, line_, step_;  // of the frame; columns of one remainder, of all
};

}  // namespace

bool is_depthwise_gradient(const Program& program, const NodeView& node) {
  const Geometry g = geometry_of(program, node);
  return g.type == f32 && program.value(g.in_x).rank <= 4 && g.images == 1 && g.groups > 1 &&
         g.spread == std::array<int64_t, 3>{1, 1, 1} && g.sums_over_pixels() && g.pixel_count() > 0 &&
         g.channels * g.outputs > 0 && !program.value(g.in_x).known && !program.value(g.in_w).known;
}

void ask_layouts_for_depthwise_gradient(const Program& program, const NodeView&, TrmAnswer& answer) {
  for (uint32_t i = 0; i < program.operand_count(); ++i) {
    if (!chip::is_dense(program.operand(i))) ask_order(program, i, row_major_order(), answer);
  }
}

Run prepare_depthwise_gradient(const Program& program, const NodeView& node) {
  return [kernel = DepthwiseGradient(geometry_of(program, node))](void* const* values) { kernel.run(values); };
}

}  // namespace trireme::cpu
