#include "trireme/vision/boxes.h"

#include <algorithm>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::vision {

double overlap(const Box& a, const Box& b) {
  const double width = std::min(a.right, b.right) - std::max(a.left, b.left);
  const double height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  const double both = std::max(width, 0.0) * std::max(height, 0.0), either = a.area() + b.area() - both;
  return either > 0 ? both / either : 0.0;
}

std::vector<int64_t> suppress(std::span<const Box> boxes, std::span<const double> scores,
                              const SuppressOptions& options) {
  if (boxes.size() != scores.size()) {
    throw Error(Code::kInvalidArgument, cat(boxes.size(), " boxes have ", scores.size(), " scores"));
  }
  std::vector<int64_t> order, kept;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] > options.least_score) order.push_back(static_cast<int64_t>(i));
  }
  const auto score = [&](int64_t i) { return scores[static_cast<size_t>(i)]; };
  const auto box = [&](int64_t i) { return boxes[static_cast<size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) { return score(i) > score(j); });
  for (const int64_t i : order) {
    if (static_cast<int64_t>(kept.size()) >= options.most) break;
    const auto hides = [&](int64_t better) { return overlap(box(i), box(better)) > options.most_overlap; };
    if (std::none_of(kept.begin(), kept.end(), hides)) kept.push_back(i);
  }
  return kept;
}

}  // namespace trireme::vision
