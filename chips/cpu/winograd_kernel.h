// The transforms of Winograd's minimal filtering F(2 x 2, 3 x 3) on channels-last images (Lavin and Gray, "Fast
// Algorithms for Convolutional Neural Networks", 2015): a tile of 2 x 2 results takes 16 products where sums take 36.
#pragma once

#include <array>
#include <cstdint>

#include "chips/cpu/indirect_kernel.h"

namespace trireme::cpu {

constexpr int64_t kWinogradTile = 2, kWinogradPositions = 16;

struct WinogradKernel {
  // from[i]: the channels of pixel i of the 4 x 4 under a tile. Position i of the transformed tile goes to
  // to[i step + c], c < channels.
  void (*image)(const float* const* from, int64_t channels, float* to, int64_t step);
  // The way back for `columns` outputs; from[i step + s] is position i. Result i of the 2 x 2 goes to to[i], where that
  // is not null, as IndirectKernel::block writes its sums. scale and bias as there; `from` is padded to whole vectors.
  // False when a sum is not finite: an infinity, a NaN or an overflow then reaches results that it is no part of.
  bool (*result)(const float* from, int64_t step, int64_t columns, float* const* to, const float* const* added,
                 const Finish& finish);

  // The gradient of the filter is the same algorithm turned around: the tile of the image times that of the result's
  // gradients, position by position, summed over the tiles and transformed back.
  // from[i]: `columns` gradients of result i of the 2 x 2. Position i of the tile goes to to[i step + s], padded with
  // zeros to whole vectors.
  void (*gradient)(const float* const* from, int64_t columns, float* to, int64_t step);
  // from[part part_step + i step + s], added up over the parts, is position i. Element k of the 3 x 3 goes to
  // to[k padded + s], where `padded` is `columns` rounded up to whole vectors; `from` is padded so, too. False when one
  // is not finite.
  bool (*filter)(const float* from, int64_t step, int64_t parts, int64_t part_step, int64_t columns, float* to);
};
// The best one this machine runs.
const WinogradKernel& winograd_kernel();

// The transform of a 3 x 3 filter: each of 16 positions.
std::array<double, kWinogradPositions> winograd_filter(const std::array<double, 9>& filter);

}  // namespace trireme::cpu
