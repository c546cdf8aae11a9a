// The tiles of 2 x 2 results that a convolution with a 3 x 3 kernel falls into, for Winograd's algorithm.
#pragma once

#include "chips/cpu/convolution.h"
#include "chips/cpu/winograd_kernel.h"

namespace trireme::cpu {

class WinogradTiles {
 public:
  explicit WinogradTiles(const Geometry& g)
      : g_(g), down_((g.pixels[1] + 1) / kWinogradTile), across_((g.pixels[2] + 1) / kWinogradTile) {}

  // Whether the convolution is one that tiles can do, on images of more than `narrow` channels and outputs.
  static bool suit(const Geometry& g, int64_t narrow) {
    const std::array<int64_t, 3> ones{1, 1, 1};
    return g.kernel == std::array<int64_t, 3>{1, 3, 3} && g.stride == ones && g.dilation == ones && g.spread == ones &&
           g.groups == 1 && g.channels > narrow && g.outputs > narrow;
  }

  int64_t count() const { return g_.images * down_ * across_; }
  struct Tile {
    int64_t image, y, x;  // of its first result
  };
  Tile at(int64_t number) const {
    return {number / across_ / down_, number / across_ % down_ * kWinogradTile, number % across_ * kWinogradTile};
  }
  // The 4 x 4 pixels of a channels-last image under a tile; `zeros` where there is none.
  void pixels(const Tile& tile, const float* image, const float* zeros, const float** from) const {
    for (int64_t i = 0; i < kWinogradPositions; ++i) {
      const int64_t y = tile.y - g_.low[1] + i / 4, x = tile.x - g_.low[2] + i % 4;
      const bool inside = y >= 0 && y < g_.size[1] && x >= 0 && x < g_.size[2];
      from[i] = inside ? image + ((tile.image * g_.size[1] + y) * g_.size[2] + x) * g_.channels : zeros;
    }
  }
  // The numbers of its 2 x 2 results among those of all images; -1 where there is none.
  std::array<int64_t, 4> results(const Tile& tile) const {
    std::array<int64_t, 4> numbers;
    for (int64_t i = 0; i < 4; ++i) {
      const int64_t y = tile.y + i / 2, x = tile.x + i % 2;
      const bool inside = y < g_.pixels[1] && x < g_.pixels[2];
      numbers[static_cast<size_t>(i)] = inside ? (tile.image * g_.pixels[1] + y) * g_.pixels[2] + x : -1;
    }
    return numbers;
  }

 private:
  Geometry g_;
  int64_t down_, across_;
};

}  // namespace trireme::cpu
