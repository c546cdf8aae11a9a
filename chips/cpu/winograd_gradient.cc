#include "chips/cpu/winograd_gradient.h"

#include <algorithm>
#include <atomic>

#include "chips/cpu/gemm.h"
#include "chips/cpu/outer_kernel.h"
#include "chips/cpu/pixel_runs.h"
#include "chips/cpu/tile_program.h"

namespace trireme::cpu {
namespace {

constexpr int64_t kTasks = 16;        // wanted; their number depends on the sizes alone, and so do the bits
constexpr int64_t kLeastTiles = 192;  // fewer do not pay for transforming the weights
constexpr int64_t kLeastPart = 128;   // tiles
constexpr int64_t kPanelsAtOnce = 2;  // of one task: their sums stay in the cache
// Tiles at a time: their transformed image stays in the cache. Position by position the terms are larger than those of
// the sums that they stand for; short runs keep the rounding errors as small.
constexpr int64_t kChunk = 32;

}  // namespace

bool WinogradGradient::suits(const Geometry& g) {
  // The portable baseline (one lane) has no fused multiply-add: it rounds products, too, and terms this large would
  // then be off by more than those of the sums that they stand for.
  if (outer_kernel().lanes == 1) return false;
  return WinogradTiles::suit(g, kNarrow) && WinogradTiles(g).count() >= kLeastTiles;
}

WinogradGradient::WinogradGradient(const Geometry& g, const std::array<int64_t, 5>& strides)
    : g_(g), tiles_(g), strides_(strides), zeros_(static_cast<size_t>(std::max(g.channels, g.outputs)), 0.0f) {
  const OuterKernel& kernel = outer_kernel();
  for (int64_t column = 0; column < g.outputs; column += kernel.columns) {
    const int64_t columns = std::min(kernel.columns, g.outputs - column);
    panels_.push_back({column, columns, round_up(columns, kernel.lanes), sums_});
    sums_ += panels_.back().width * g.channels * kWinogradPositions;
  }
  slices_ = (static_cast<int64_t>(panels_.size()) + kPanelsAtOnce - 1) / kPanelsAtOnce;
  parts_ = std::clamp<int64_t>(kTasks / slices_, 1, tiles_.count() / kLeastPart);
}

bool WinogradGradient::run(const float* image, const float* gradients, float* weights) const {
  float* sums =
      reinterpret_cast<float*>(thread_scratch(kBlockScratch, static_cast<size_t>(parts_ * sums_) * sizeof(float)));
  const auto panels = static_cast<int64_t>(panels_.size());
  parallel_for(parts_ * slices_, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t part = task / slices_, slice = task % slices_;
      sum(image, gradients, tiles_.count() * part / parts_, tiles_.count() * (part + 1) / parts_,
          panels * slice / slices_, panels * (slice + 1) / slices_, sums + part * sums_);
    }
  });
  std::atomic<bool> finite = true;
  parallel_for(panels * g_.channels, grain_for(kWinogradPositions * outer_kernel().columns * parts_),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) {
                   const Panel& panel = panels_[static_cast<size_t>(i / g_.channels)];
                   if (!write(panel, i % g_.channels, sums, weights)) finite = false;
                 }
               });
  return finite;
}

// Tiles [first, last) into the panels [begin, end).
void WinogradGradient::sum(const float* image, const float* gradients, int64_t first, int64_t last, int64_t begin,
                           int64_t end, float* sums) const {
  const OuterKernel& kernel = outer_kernel();
  const WinogradKernel& transforms = winograd_kernel();
  const int64_t channels = g_.channels, blocks = (channels + kernel.rows - 1) / kernel.rows;
  const auto scratch = [](int slot, int64_t count) {
    return reinterpret_cast<float*>(thread_scratch(slot, static_cast<size_t>(count) * sizeof(float)));
  };
  float* pixels = scratch(kPackScratchA, kWinogradPositions * kChunk * channels);
  float* results = scratch(kFoldScratch, kWinogradPositions * kChunk * kernel.columns);
  thread_local std::vector<const float*> rows;
  rows.resize(static_cast<size_t>(kWinogradPositions * kChunk));
  for (int64_t i = 0; i < kWinogradPositions * kChunk; ++i) rows[static_cast<size_t>(i)] = pixels + i * channels;
  for (int64_t p = begin; p < end; ++p) {
    const Panel& panel = panels_[static_cast<size_t>(p)];
    std::fill_n(sums + panel.offset, kWinogradPositions * channels * panel.width, 0.0f);
  }
  for (int64_t at = first; at < last; at += kChunk) {
    const int64_t count = std::min(kChunk, last - at);
    for (int64_t t = 0; t < count; ++t) {
      const float* from[kWinogradPositions];
      tiles_.pixels(tiles_.at(at + t), image, zeros_.data(), from);
      transforms.image(from, channels, pixels + t * channels, kChunk * channels);
    }
    for (int64_t p = begin; p < end; ++p) {
      const Panel& panel = panels_[static_cast<size_t>(p)];
      for (int64_t t = 0; t < count; ++t) {
        const std::array<int64_t, 4> numbers = tiles_.results(tiles_.at(at + t));
        const float* from[4];
        for (size_t i = 0; i < 4; ++i) {
          from[i] = numbers[i] < 0 ? zeros_.data() : gradients + numbers[i] * g_.outputs + panel.column;
        }
        transforms.gradient(from, panel.columns, results + t * panel.width, kChunk * panel.width);
      }
      for (int64_t position = 0; position < kWinogradPositions; ++position) {
        float* to = sums + panel.offset + position * channels * panel.width;
        for (int64_t b = 0; b < blocks; ++b) {
          const int64_t row = channels * b / blocks;
          kernel.block(channels * (b + 1) / blocks - row, panel.width, count, rows.data() + position * kChunk, row,
                       results + position * kChunk * panel.width, panel.width, to + row * panel.width);
        }
      }
    }
  }
}

// The weights of one channel and the outputs of a panel: the parts added up in their order, transformed back.
bool WinogradGradient::write(const Panel& panel, int64_t channel, const float* sums, float* weights) const {
  float filters[9 * 64];
  const bool finite = winograd_kernel().filter(sums + panel.offset + channel * panel.width, g_.channels * panel.width,
                                               parts_, sums_, panel.columns, filters);
  for (int64_t s = 0; s < panel.columns; ++s) {
    float* to = weights + channel * strides_[0] + (panel.column + s) * strides_[1];
    for (int64_t k = 0; k < 9; ++k) to[k / 3 * strides_[3] + k % 3 * strides_[4]] = filters[k * panel.width + s];
  }
  return finite;
}

}  // namespace trireme::cpu
