// Gradients of 3 x 3 weights by Winograd's algorithm turned around: 16 products for a tile of 2 x 2 gradients that take
// 36 as sums. Its transforms only add and halve.
#pragma once

#include <vector>

#include "chips/cpu/winograd_tiles.h"

namespace trireme::cpu {

class WinogradGradient {
 public:
  // Whether this way is taken for the weights of a convolution.
  static bool suits(const Geometry& g);
  // `strides`: of the gradient of the weights, for channels, outputs and three axes of the kernel.
  WinogradGradient(const Geometry& g, const std::array<int64_t, 5>& strides);
  // Image and gradients of the results lie channels last. False when something is not finite: an infinity, a NaN or an
  // overflow then reaches weights that it is no part of.
  bool run(const float* image, const float* gradients, float* weights) const;

 private:
  // Outputs [column, column + columns); its sums, at `offset`, are lines of `width` for each position and channel.
  struct Panel {
    int64_t column, columns, width, offset;
  };
  void sum(const float* image, const float* gradients, int64_t first, int64_t last, int64_t begin, int64_t end,
           float* sums) const;
  bool write(const Panel& panel, int64_t channel, const float* sums, float* weights) const;

  Geometry g_;
  WinogradTiles tiles_;
  std::array<int64_t, 5> strides_;
  std::vector<Panel> panels_;
  std::vector<float> zeros_;
  int64_t sums_ = 0;        // floats
  int64_t slices_, parts_;  // of the panels, of the tiles
};

}  // namespace trireme::cpu
