#include "chips/cpu/pixel_runs.h"

#include <tuple>

#include "chips/cpu/tile_program.h"

namespace trireme::cpu {
namespace {

constexpr std::array<int64_t, 3> kZeros{0, 0, 0}, kOnes{1, 1, 1};

}  // namespace

PixelRuns::PixelRuns(const Geometry& g)
    : g_(g),
      framed_(is_framed(g)),
      pointwise_(g.positions() == 1 && g.stride == kOnes && g.spread == kOnes && g.low == kZeros && g.pixels == g.size),
      zeros_(static_cast<size_t>(g.channels), 0.0f) {
  for (int64_t d = 0; d < g_.spread[0]; ++d) {
    for (int64_t h = 0; h < g_.spread[1]; ++h) {
      for (int64_t v = 0; v < g_.spread[2]; ++v) add_phase({d, h, v});
    }
  }
}

bool PixelRuns::is_framed(const Geometry& g) {
  return g.groups == 1 && g.channels <= kNarrow && g.positions() > 1 && g.dilation[2] == 1 && g.spread == kOnes;
}

void PixelRuns::add_phase(const std::array<int64_t, 3>& offset) {
  Phase phase{};
  for (size_t a = 0; a < 3; ++a) {
    phase.first[a] = offset[a];
    phase.step[a] = g_.spread[a];
    phase.count[a] = g_.pixels[a] <= offset[a] ? 0 : (g_.pixels[a] - offset[a] + g_.spread[a] - 1) / g_.spread[a];
  }
  if (phase.pixels() == 0) return;
  for (int64_t position = 0; position < g_.positions(); ++position) {
    const std::array<int64_t, 3> at{position / g_.kernel[2] / g_.kernel[1], position / g_.kernel[2] % g_.kernel[1],
                                    position % g_.kernel[2]};
    Phase::Tap tap{{}, position};
    bool reaches = true;
    for (size_t a = 0; a < 3; ++a) {
      const int64_t moved = offset[a] - g_.low[a] + at[a] * g_.dilation[a];
      reaches &= moved % g_.spread[a] == 0;
      tap.at[a] = moved / g_.spread[a];
    }
    if (!reaches) continue;
    for (size_t a = 0; a < 3; ++a) {
      phase.lowest[a] = phase.taps.empty() ? tap.at[a] : std::min(phase.lowest[a], tap.at[a]);
      phase.highest[a] = phase.taps.empty() ? tap.at[a] : std::max(phase.highest[a], tap.at[a]);
    }
    phase.taps.push_back(tap);
    phase.offsets.push_back((tap.at[1] * g_.size[2] + tap.at[2]) * g_.channels);
  }
  phases_.push_back(std::move(phase));
}

const float* PixelRuns::prepare(const std::byte* x) const {
  const auto item = static_cast<int64_t>(size_of(g_.type));
  const int64_t count = g_.images * g_.size[0] * g_.size[1] * g_.size[2] * g_.channels;
  if (!framed_) {
    if (g_.type == f32) return reinterpret_cast<const float*>(x);
    float* wide = reinterpret_cast<float*>(thread_scratch(kPackScratchB, static_cast<size_t>(count) * sizeof(float)));
    parallel_for(count, kGrainElements, [&](int64_t begin, int64_t end) {
      load_row(wide + begin, x + begin * item, g_.type, 1, end - begin);
    });
    return wide;
  }
  const auto [height, width] = frame();
  const int64_t line = width * g_.channels;
  float* all = reinterpret_cast<float*>(
      thread_scratch(kPackScratchB, static_cast<size_t>(g_.images * height * line) * sizeof(float)));
  const int64_t copied = std::clamp<int64_t>(width - g_.low[2], 0, g_.size[2]);
  parallel_for(g_.images * height, grain_for(line), [&](int64_t begin, int64_t end) {
    thread_local std::vector<float> row;
    row.resize(static_cast<size_t>(copied));
    for (int64_t i = begin; i < end; ++i) {
      float* to = all + i * line;
      std::fill_n(to, line, 0.0f);
      const int64_t h = i % height - g_.low[1];
      if (h < 0 || h >= g_.size[1]) continue;
      const std::byte* from = x + (i / height * g_.x_strides[0] + h * g_.x_strides[3]) * item;
      to += g_.low[2] * g_.channels;
      for (int64_t c = 0; c < g_.channels; ++c) {
        load_row(row.data(), from + c * g_.x_strides[1] * item, g_.type, g_.x_strides[4], copied);
        for (int64_t w = 0; w < copied; ++w) to[w * g_.channels + c] = row[static_cast<size_t>(w)];
      }
    }
  });
  return all;
}

std::pair<int64_t, int64_t> PixelRuns::frame() const {
  return {(g_.pixels[1] - 1) * g_.stride[1] + (g_.kernel[1] - 1) * g_.dilation[1] + 1,
          (g_.pixels[2] - 1) * g_.stride[2] + g_.kernel[2]};
}

PixelRuns::Walk::Walk(const PixelRuns& runs, const Phase& phase, const float* image, int64_t pixel)
    : runs_(runs), phase_(phase), image_(image), at_(pixel), n_(pixel / phase.count[2] / phase.count[1]) {
  const Geometry& g = runs.g_;
  std::tie(frame_height_, frame_width_) = runs.frame();
  const int64_t stride = g.stride[2];
  first_inside_ = (std::max<int64_t>(0, -phase.lowest[2]) + stride - 1) / stride;
  const int64_t last = g.size[2] - 1 - phase.highest[2];  // that may be side
  end_inside_ = last < 0 ? 0 : last / stride + 1;
  begin_line(pixel / phase.count[2] % phase.count[1], pixel % phase.count[2]);
}

void PixelRuns::Walk::begin_line(int64_t h, int64_t w) {
  const Geometry& g = runs_.g_;
  h_ = h, w_ = w;
  if (h_ == phase_.count[1]) h_ = 0, ++n_;
  const int64_t top = h_ * g.stride[1];
  line_inside_ = top + phase_.lowest[1] >= 0 && top + phase_.highest[1] < g.size[1];
  line_ = (runs_.framed_ ? (n_ * frame_height_ + top) * frame_width_ : (n_ * g.size[1] + top) * g.size[2]) * g.channels;
  first_pixel_ = (n_ * g.pixels[1] + phase_.first[1] + h_ * phase_.step[1]) * g.pixels[2] + phase_.first[2];
}

void PixelRuns::Walk::find(const float** left, int64_t step) {
  const Geometry& g = runs_.g_;
  const int64_t side = w_ * g.stride[2];
  const float* from = image_ + line_ + side * g.channels;
  inside_ = false;
  if (runs_.framed_) {
    const int64_t line = g.dilation[1] * frame_width_ * g.channels;
    for (int64_t kh = 0; kh < g.kernel[1]; ++kh) left[kh * step] = from + kh * line;
    return;
  }
  inside_ = is_inside(w_);
  if (inside_) {
    for (const int64_t offset : phase_.offsets) *left = from + offset, left += step;
    return;
  }
  const int64_t top = h_ * g.stride[1];
  for (size_t t = 0; t < phase_.taps.size(); ++t, left += step) {
    const auto& at = phase_.taps[t].at;
    const bool inside = static_cast<uint64_t>(top + at[1]) < static_cast<uint64_t>(g.size[1]) &&
                        static_cast<uint64_t>(side + at[2]) < static_cast<uint64_t>(g.size[2]);
    *left = inside ? from + phase_.offsets[t] : runs_.zeros_.data();
  }
}

}  // namespace trireme::cpu
