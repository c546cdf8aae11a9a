// Calibration: from the values an activation takes on sample inputs to the range that its 8-bit numbers shall cover.
// What lies outside of the range is clipped to its ends.
//
//   min-max     everything that was seen
//   percentile  all but a given share of the values at each end
//   entropy     the range whose 8-bit distribution is nearest to that of the values, by Kullback-Leibler divergence
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/core/literal.h"

namespace trireme::passes {

struct Range {
  double low = 0.0, high = 0.0;
};

enum class CalibrationMethod : uint8_t { kMinMax, kPercentile, kEntropy };
// "minmax", "percentile" or "entropy". Throws kInvalidArgument for other names.
CalibrationMethod parse_calibration_method(std::string_view name);

// The values of one activation over all samples.
class Observer {
 public:
  // Throws kInvalidArgument naming `what` when a value is NaN or infinite.
  void add(const Literal& values, std::string_view what);
  // Values seen.
  int64_t count() const { return count_; }
  // `percentile`, from above 50 to 100: the share of the values, in percent, that lie at or below the upper end; as
  // many lie at or above the lower one. Throws kInvalidArgument when nothing was seen.
  Range range(CalibrationMethod method, double percentile) const;

 private:
  static constexpr int kHalf = 2048;  // bins on each side of 0, all `width_` wide

  void widen_to(double magnitude);
  Range percentile_range(double percentile) const;
  Range entropy_range() const;

  int64_t count_ = 0;
  Range seen_;
  double width_ = 0.0;                     // 0: only zeros so far
  std::array<int64_t, 2 * kHalf> bins_{};  // bin kHalf + i holds [i width, (i + 1) width)
  int64_t zeros_ = 0;                      // exact zeros: padding and rectified values, which every range holds
};

}  // namespace trireme::passes
