// How a convolution reads an image that lies channels last: each output pixel meets runs of neighbouring floats, found
// through pointers. A run is the channels of one pixel of the image, or, for images of few channels, a whole line of
// the kernel. Padding is a run of zeros.
#pragma once

#include <vector>

#include "chips/cpu/convolution.h"

namespace trireme::cpu {

constexpr int64_t kNarrow = 8;  // so few channels: a line of the kernel is taken as one run

// Output pixels of one remainder by the input dilation (without one: all), and the kernel positions that reach an
// element there.
struct Phase {
  std::array<int64_t, 3> first, step, count;
  struct Tap {
    std::array<int64_t, 3> at;  // added to the pixel's number times the stride: a position in the input
    int64_t position;           // in the kernel
  };
  std::vector<Tap> taps;
  std::array<int64_t, 3> lowest, highest;  // at of any tap
  std::vector<int64_t> offsets;            // of the taps' pixels, in elements
  int64_t pixels() const { return count[0] * count[1] * count[2]; }
};

class PixelRuns {
 public:
  explicit PixelRuns(const Geometry& g);
  // Whether lines of the kernel are the runs: the image is then copied into a frame of zeros, from any strides.
  static bool is_framed(const Geometry& g);

  const std::vector<Phase>& phases() const { return phases_; }
  // Runs of a pixel: how many, and how long.
  int64_t runs(const Phase& phase) const { return framed_ ? g_.kernel[1] : static_cast<int64_t>(phase.taps.size()); }
  int64_t run_length() const { return framed_ ? g_.kernel[2] * g_.channels : g_.group_channels(); }
  const float* zeros() const { return zeros_.data(); }  // as many as there are channels

  // The image as floats with its channels side by side, in the scratch memory kPackScratchB; f32 that need no frame
  // stay where they are.
  const float* prepare(const std::byte* x) const;
  // Output pixels of a phase in their order.
  class Walk {
   public:
    Walk(const PixelRuns& runs, const Phase& phase, const float* image, int64_t pixel);  // the first of them
    // The next pixel: where its runs start in the prepared image (`step` apart in `left`), and its number among all
    // output pixels.
    int64_t next(const float** left, int64_t step);

   private:
    const PixelRuns& runs_;
    const Phase& phase_;
    const float* image_;
    int64_t frame_height_, frame_width_;
    int64_t at_, n_, h_, w_;
  };

 private:
  void add_phase(const std::array<int64_t, 3>& offset);
  std::pair<int64_t, int64_t> frame() const;  // its height and width

  Geometry g_;
  bool framed_;
  bool pointwise_;  // one run for each pixel, where the pixel lies
  std::vector<Phase> phases_;
  std::vector<float> zeros_;
};

}  // namespace trireme::cpu
