// Depthwise convolution. The channel's plane is copied into a frame of zeros, so that no position needs a test; each
// output line is then a weighted sum of shifted lines, and with a step of 1 several lines at once are one long line.
#include <algorithm>
#include <memory>

#include "chips/cpu/convolution.h"
#include "chips/cpu/gemm.h"

namespace trireme::cpu {
namespace {

constexpr int64_t kSlack = 64;  // the micro kernel reads and writes whole vectors

template <class T>
class Depthwise {
 public:
  Depthwise(const Geometry& g, const TrmValue& w, std::shared_ptr<const Epilogue> epilogue)
      : g_(g), w_output_(w.strides[0]), epilogue_(std::move(epilogue)) {
    if (epilogue_) g_.out = epilogue_->target();
    std::array<int64_t, 3> w_strides{};
    for (uint32_t axis = 2; axis < w.rank; ++axis) w_strides[axis + 3 - w.rank] = w.strides[axis];
    for (size_t a = 0; a < 3; ++a) frame_[a] = (g.pixels[a] - 1) * g.stride[a] + (g.kernel[a] - 1) * g.dilation[a] + 1;
    for (int64_t position = 0; position < g.positions(); ++position) {
      const int64_t kw = position % g.kernel[2], kh = position / g.kernel[2] % g.kernel[1];
      const int64_t kd = position / g.kernel[2] / g.kernel[1];
      offsets_.push_back((kd * g.dilation[0] * frame_[1] + kh * g.dilation[1]) * frame_[2] + kw * g.dilation[2]);
      weight_offsets_.push_back(kd * w_strides[0] + kh * w_strides[1] + kw * w_strides[2]);
    }
    // Lines of the output computed as one, about a thousand elements.
    together_ = g.stride[1] == 1 && g.stride[2] == 1
                    ? std::clamp<int64_t>(1024 / std::max<int64_t>(1, frame_[2]), 1, g.pixels[1])
                    : 1;
  }

  void run(void* const* values) const {
    const auto* x = static_cast<const std::byte*>(values[g_.in_x]);
    const auto* w = static_cast<const std::byte*>(values[g_.in_w]);
    auto* y = g_.out == TRM_ABSENT ? nullptr : static_cast<std::byte*>(values[g_.out]);
    const auto item = static_cast<int64_t>(size_of(g_.type));
    const int64_t size = frame_[0] * frame_[1] * frame_[2];
    if (g_.pixel_count() == 0) return;
    parallel_for(
        g_.images * g_.outputs, grain_for(g_.pixel_count() * g_.positions() / 8), [&](int64_t begin, int64_t end) {
          T* frame =
              reinterpret_cast<T*>(thread_scratch(kPackScratchB, static_cast<size_t>(size + kSlack) * sizeof(T)));
          T* line = reinterpret_cast<T*>(
              thread_scratch(kBlockScratch, static_cast<size_t>(together_ * frame_[2] + kSlack) * sizeof(T)));
          T* row = reinterpret_cast<T*>(thread_scratch(kFoldScratch, static_cast<size_t>(g_.pixels[2]) * sizeof(T)));
          std::vector<T> weights(offsets_.size());
          Epilogue::Session session;
          if (epilogue_) session = epilogue_->begin(values);
          std::fill_n(frame, size + kSlack, T{0});  // every plane writes the same elements
          for (int64_t plane = begin; plane < end; ++plane) {
            const int64_t image = plane / g_.outputs, output = plane % g_.outputs,
                          channel = output / g_.group_outputs();
            for (size_t t = 0; t < weights.size(); ++t) {
              load_row(&weights[t], w + (output * w_output_ + weight_offsets_[t]) * item, g_.type, 1, 1);
            }
            copy_plane(x + (image * g_.x_strides[0] + channel * g_.x_strides[1]) * item, frame);
            for (int64_t depth = 0; depth < g_.pixels[0]; ++depth) {
              for (int64_t height = 0; height < g_.pixels[1]; height += together_) {
                const int64_t lines = std::min(together_, g_.pixels[1] - height);
                const int64_t length = (lines - 1) * frame_[2] + (g_.pixels[2] - 1) * g_.stride[2] + 1;
                const T* from = frame + (depth * g_.stride[0] * frame_[1] + height * g_.stride[1]) * frame_[2];
                kernel_.correlate(length, g_.positions(), weights.data(), offsets_.data(), from, line);
                const int64_t at = (depth * g_.pixels[1] + height) * g_.pixels[2];
                for (int64_t l = 0; l < lines; ++l) {
                  const T* results = line + l * frame_[2];
                  if (g_.stride[2] != 1) {
                    for (int64_t i = 0; i < g_.pixels[2]; ++i) row[i] = results[i * g_.stride[2]];
                    results = row;
                  }
                  finish_run(g_, epilogue_.get(), session, y, plane, at + l * g_.pixels[2], results, g_.pixels[2]);
                }
              }
            }
          }
        });
  }

 private:
  void copy_plane(const std::byte* plane, T* frame) const {
    const auto item = static_cast<int64_t>(size_of(g_.type));
    const int64_t step = g_.spread[2], room = frame_[2] - g_.low[2];
    const int64_t count = std::min(g_.size[2], room <= 0 ? 0 : (room + step - 1) / step);
    for (int64_t d = 0; d < g_.size[0]; ++d) {
      const int64_t depth = g_.low[0] + d * g_.spread[0];
      if (depth >= frame_[0]) break;
      for (int64_t h = 0; h < g_.size[1]; ++h) {
        const int64_t height = g_.low[1] + h * g_.spread[1];
        if (height >= frame_[1]) break;
        const std::byte* from = plane + (d * g_.x_strides[2] + h * g_.x_strides[3]) * item;
        T* to = frame + (depth * frame_[1] + height) * frame_[2] + g_.low[2];
        if (step == 1) {
          load_row(to, from, g_.type, g_.x_strides[4], count);
        } else {
          for (int64_t i = 0; i < count; ++i) load_row(to + i * step, from + i * g_.x_strides[4] * item, g_.type, 1, 1);
        }
      }
    }
  }

  Geometry g_;
  int64_t w_output_;
  std::array<int64_t, 3> frame_;  // sizes
  std::vector<int64_t> offsets_, weight_offsets_;
  int64_t together_;
  std::shared_ptr<const Epilogue> epilogue_;
  const MicroKernel<T>& kernel_ = micro_kernel<T>();
};

}  // namespace

template <class T>
Run prepare_depthwise(const Geometry& g, const TrmValue& w, std::shared_ptr<const Epilogue> epilogue) {
  return [depthwise = std::make_shared<Depthwise<T>>(g, w, std::move(epilogue))](void* const* values) {
    depthwise->run(values);
  };
}
template Run prepare_depthwise<float>(const Geometry&, const TrmValue&, std::shared_ptr<const Epilogue>);
template Run prepare_depthwise<double>(const Geometry&, const TrmValue&, std::shared_ptr<const Epilogue>);

}  // namespace trireme::cpu
