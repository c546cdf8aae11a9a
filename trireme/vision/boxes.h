// Boxes that lie along the axes, and the suppression of those that show the same thing.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace trireme::vision {

struct Box {
  double left, top, right, bottom;
  double area() const { return (right - left) * (bottom - top); }
};

// Intersection over union: 0 apart, 1 the same.
double overlap(const Box& a, const Box& b);

struct SuppressOptions {
  double most_overlap = 0.5;                                      // a box that overlaps a better one by more goes
  double least_score = -std::numeric_limits<double>::infinity();  // only boxes above it are looked at
  int64_t most = std::numeric_limits<int64_t>::max();             // how many stay at most
};
// Non-maximum suppression: the places of the boxes that stay, best score first, of equal ones the earlier.
std::vector<int64_t> suppress(std::span<const Box> boxes, std::span<const double> scores,
                              const SuppressOptions& options = {});

}  // namespace trireme::vision
