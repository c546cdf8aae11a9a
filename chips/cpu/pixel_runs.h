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
    int64_t next(const float** left, int64_t step) {
      if (runs_.pointwise_) {
        *left = image_ + at_ * runs_.g_.channels;
        return at_++;
      }
      find(left, step);
      return pass();
    }
    // Whether the next pixel's runs are all inside the image and lie apart() floats behind those of the one before.
    bool moves_on() const { return inside_ && w_ > 0 && is_inside(w_); }
    int64_t apart() const { return runs_.g_.stride[2] * runs_.g_.channels; }
    // The next pixel, whose runs are known from that; its number.
    int64_t pass() {
      const int64_t pixel = first_pixel_ + w_ * phase_.step[2];
      if (++w_ == phase_.count[2]) begin_line(h_ + 1, 0);
      return pixel;
    }

   private:
    void begin_line(int64_t h, int64_t w);
    bool is_inside(int64_t w) const { return line_inside_ && w >= first_inside_ && w < end_inside_; }
    void find(const float** left, int64_t step);

    const PixelRuns& runs_;
    const Phase& phase_;
    const float* image_;
    int64_t frame_height_, frame_width_;
    int64_t first_inside_, end_inside_;  // pixels of a line whose runs stay between its ends
    int64_t at_, n_, h_, w_;
    // Of this line: where in the image the line under it starts, and the number of its first pixel.
    int64_t line_, first_pixel_;
    bool line_inside_;     // all kernel positions have a line of the image
    bool inside_ = false;  // the runs of the pixel before are all inside
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
