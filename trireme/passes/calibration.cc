#include "trireme/passes/calibration.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::passes {

CalibrationMethod parse_calibration_method(std::string_view name) {
  if (name == "minmax") return CalibrationMethod::kMinMax;
  if (name == "percentile") return CalibrationMethod::kPercentile;
  if (name == "entropy") return CalibrationMethod::kEntropy;
  throw Error(Code::kInvalidArgument, cat("no calibration method '", name, "'; there are minmax, percentile, entropy"));
}

// Bins are merged in pairs about 0 until the largest magnitude fits, so that no value need be kept.
void Observer::widen_to(double magnitude) {
  if (width_ == 0.0) width_ = std::max(magnitude / (kHalf - 1), std::numeric_limits<double>::min());
  while (magnitude >= width_ * kHalf) {
    std::array<int64_t, 2 * kHalf> merged{};
    for (int i = 0; i < 2 * kHalf; ++i) merged[static_cast<size_t>(kHalf / 2 + i / 2)] += bins_[static_cast<size_t>(i)];
    bins_ = merged;
    width_ *= 2;
  }
}

void Observer::add(const Literal& values, std::string_view what) {
  for (const double x : values.to_doubles()) {
    if (!std::isfinite(x)) {
      throw Error(
          Code::kInvalidArgument,
          cat(what, " is ", x, " on a calibration sample; a range has finite ends: mend or leave out the sample"));
    }
    seen_.low = count_ == 0 ? x : std::min(seen_.low, x);
    seen_.high = count_ == 0 ? x : std::max(seen_.high, x);
    ++count_;
    if (x == 0.0) {
      ++zeros_;
      continue;
    }
    if (std::fabs(x) >= width_ * kHalf) widen_to(std::fabs(x));
    const auto bin = static_cast<int>(std::floor(x / width_));
    ++bins_[static_cast<size_t>(kHalf + std::clamp(bin, -kHalf, kHalf - 1))];
  }
}

Range Observer::range(CalibrationMethod method, double percentile) const {
  if (count_ == 0) throw Error(Code::kInvalidArgument, "nothing to calibrate with: no value was seen");
  if (width_ == 0.0 || method == CalibrationMethod::kMinMax) return seen_;
  return method == CalibrationMethod::kPercentile ? percentile_range(percentile) : entropy_range();
}

Range Observer::percentile_range(double percentile) const {
  if (!(percentile > 50.0 && percentile <= 100.0)) {
    throw Error(Code::kInvalidArgument, cat("percentile ", percentile, "; it is above 50 and at most 100"));
  }
  const double outside = static_cast<double>(count_) * (100.0 - percentile) / 100.0;
  // Zeros lie between the two bins at 0.
  const auto end = [&](int from, int step) {
    double passed = 0.0;
    for (int i = from; i >= 0 && i < 2 * kHalf; i += step) {
      if ((step > 0 && i == kHalf) || (step < 0 && i == kHalf - 1)) {
        passed += static_cast<double>(zeros_);
        if (passed > outside) return 0.0;
      }
      passed += static_cast<double>(bins_[static_cast<size_t>(i)]);
      if (passed > outside) return width_ * (step > 0 ? i - kHalf : i - kHalf + 1);
    }
    return 0.0;
  };
  return {std::clamp(end(0, 1), seen_.low, seen_.high), std::clamp(end(2 * kHalf - 1, -1), seen_.low, seen_.high)};
}

// The distribution of magnitudes P, clipped at a threshold, against the same in 128 levels (255 where no value is
// negative: then all numbers serve one side). The threshold with the least divergence sum p log(p / q) wins.
Range Observer::entropy_range() const {
  std::array<double, kHalf> magnitude{};
  for (int i = 0; i < kHalf; ++i) {
    magnitude[static_cast<size_t>(i)] =
        static_cast<double>(bins_[static_cast<size_t>(kHalf + i)] + bins_[static_cast<size_t>(kHalf - 1 - i)]);
  }
  const int levels = seen_.low >= 0.0 ? 255 : 128;
  int best = kHalf;
  double least = std::numeric_limits<double>::infinity();
  std::array<double, kHalf> clipped{}, quantised{};
  for (int bins = levels; bins <= kHalf; bins += 16) {
    std::copy_n(magnitude.begin(), bins, clipped.begin());
    double beyond = 0.0, total = 0.0;
    for (int i = bins; i < kHalf; ++i) beyond += magnitude[static_cast<size_t>(i)];
    clipped[static_cast<size_t>(bins - 1)] += beyond;
    // Each level spreads what it holds evenly over its bins that are not empty.
    for (int level = 0; level < levels; ++level) {
      const int begin = bins * level / levels, end = bins * (level + 1) / levels;
      double sum = 0.0;
      int used = 0;
      for (int i = begin; i < end; ++i) {
        sum += magnitude[static_cast<size_t>(i)];
        used += clipped[static_cast<size_t>(i)] > 0.0;
      }
      for (int i = begin; i < end; ++i) {
        quantised[static_cast<size_t>(i)] = clipped[static_cast<size_t>(i)] > 0.0 ? sum / used : 0.0;
      }
      total += sum;
    }
    if (total == 0.0) continue;
    const double whole = total + beyond;
    double divergence = 0.0;
    for (int i = 0; i < bins; ++i) {
      const double p = clipped[static_cast<size_t>(i)] / whole, q = quantised[static_cast<size_t>(i)] / total;
      if (p > 0.0) divergence += p * std::log(p / std::max(q, 1e-12));
    }
    if (divergence < least) least = divergence, best = bins;
  }
  const double threshold = width_ * best;
  return {std::max(seen_.low, -threshold), std::min(seen_.high, threshold)};
}

}  // namespace trireme::passes
