#include "trireme/vision/detection.h"

#include <algorithm>
#include <cmath>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::vision {

namespace {

void check(bool sound, const char* rule, const Literal& given) {
  if (sound && is_float(given.dtype())) return;
  throw Error(Code::kInvalidArgument, cat(rule, "; given ", given.dtype(), given.shape()));
}

}  // namespace

std::vector<Box> boxes_of_distributions(const Literal& logits, int64_t columns, double stride) {
  const Shape& shape = logits.shape();
  check(shape.rank() == 2 && shape[1] >= 8 && shape[1] % 4 == 0, "distributions are floating [cells, 4 * bins]",
        logits);
  if (columns < 1 || shape[0] % columns != 0 || !(stride > 0)) {
    throw Error(Code::kInvalidArgument, cat(shape[0], " cells in rows of ", columns, ", ", stride,
                                            " pixels apart: rows are whole, strides above 0"));
  }
  const int64_t bins = shape[1] / 4;
  const std::vector<double> values = logits.to_doubles();
  const double* at = values.data();
  // The expected distance of one side, in pixels.
  const auto distance = [&] {
    const double high = *std::max_element(at, at + bins);
    double sum = 0.0, weighted = 0.0;
    for (int64_t k = 0; k < bins; ++k) {
      const double weight = std::exp(*at++ - high);
      sum += weight, weighted += weight * static_cast<double>(k);
    }
    return weighted / sum * stride;
  };
  std::vector<Box> out;
  for (int64_t cell = 0; cell < shape[0]; ++cell) {
    const double x = (static_cast<double>(cell % columns) + 0.5) * stride;
    const double y = (static_cast<double>(cell / columns) + 0.5) * stride;
    const double left = distance(), top = distance(), right = distance(), bottom = distance();
    out.push_back({x - left, y - top, x + right, y + bottom});
  }
  return out;
}

std::vector<Box> boxes_of_priors(const Literal& offsets, const Literal& priors,
                                 const std::array<double, 4>& variances) {
  check(offsets.shape().rank() == 2 && offsets.shape()[1] == 4, "offsets are floating [boxes, 4]", offsets);
  check(priors.shape() == offsets.shape(), "priors are floating and have the offsets' shape", priors);
  const std::vector<double> o = offsets.to_doubles(), p = priors.to_doubles();
  std::vector<Box> out;
  for (size_t i = 0; i < o.size(); i += 4) {
    const double x = p[i] + o[i] * variances[0] * p[i + 2], y = p[i + 1] + o[i + 1] * variances[1] * p[i + 3];
    const double width = p[i + 2] * std::exp(o[i + 2] * variances[2]);
    const double height = p[i + 3] * std::exp(o[i + 3] * variances[3]);
    out.push_back({x - width / 2, y - height / 2, x + width / 2, y + height / 2});
  }
  return out;
}

std::vector<Detection> detect(const std::vector<Box>& boxes, const Literal& scores, const DetectOptions& options) {
  const Shape& shape = scores.shape();
  check(shape.rank() == 2 && shape[0] == static_cast<int64_t>(boxes.size()),
        cat("scores are floating [", boxes.size(), " boxes, classes]").c_str(), scores);
  const std::vector<double> values = scores.to_doubles();
  std::vector<Detection> out;
  for (int64_t kind = 0; kind < shape[1]; ++kind) {
    if (kind == options.background) continue;
    std::vector<double> column;
    for (size_t i = 0; i < boxes.size(); ++i)
      column.push_back(values[i * static_cast<size_t>(shape[1]) + static_cast<size_t>(kind)]);
    const SuppressOptions within = {options.most_overlap, options.least_score, options.most};
    for (const int64_t i : suppress(boxes, column, within)) {
      out.push_back({boxes[static_cast<size_t>(i)], kind, column[static_cast<size_t>(i)]});
    }
  }
  std::stable_sort(out.begin(), out.end(), [](const Detection& a, const Detection& b) { return a.score > b.score; });
  if (static_cast<int64_t>(out.size()) > options.most) out.resize(static_cast<size_t>(options.most));
  return out;
}

}  // namespace trireme::vision
