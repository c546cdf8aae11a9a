#include "trireme/vision/labels.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"

namespace trireme::vision {

namespace {

constexpr size_t kMostClasses = size_t{1} << 24;

std::vector<std::string> labels_of_json(const std::string& path) {
  const auto refuse = [&](std::string_view what) { throw Error(Code::kDataLoss, cat("labels '", path, "': ", what)); };
  const auto json = nlohmann::json::parse(read_file(path), nullptr, false);
  std::vector<std::string> out;
  const auto text = [&](const nlohmann::json& value) {
    if (!value.is_string()) refuse("a name is no text");
    return value.get<std::string>();
  };
  if (json.is_array()) {
    for (const auto& value : json) out.push_back(text(value));
  } else if (json.is_object()) {
    for (const auto& [key, value] : json.items()) {
      size_t index = 0;
      const auto [end, reason] = std::from_chars(key.data(), key.data() + key.size(), index);
      if (reason != std::errc() || end != key.data() + key.size() || index >= kMostClasses) {
        refuse(cat("'", key.substr(0, 40), "' is no number of a class"));
      }
      if (index >= out.size()) out.resize(index + 1);
      out[index] = text(value);
    }
  } else {
    refuse("it is no JSON list of names and no table from class to name");
  }
  return out;
}

// Scores as probabilities.
std::vector<double> probabilities(std::span<const double> scores) {
  std::vector<double> out(scores.begin(), scores.end());
  double sum = 0.0, high = -INFINITY;
  bool positive = true;
  for (const double s : out) sum += s, high = std::max(high, s), positive &= s >= 0;
  if (positive && std::fabs(sum - 1.0) < 0.01) return out;
  sum = 0.0;
  for (double& s : out) sum += s = std::exp(s - high);
  for (double& s : out) s /= sum;
  return out;
}

}  // namespace

std::vector<std::string> read_labels(const std::string& path) {
  if (path.ends_with(".json")) return labels_of_json(path);
  std::vector<std::string> out;
  for (const std::string& line : split(read_file(path), '\n')) {
    out.push_back(line.ends_with('\r') ? line.substr(0, line.size() - 1) : line);
  }
  while (!out.empty() && out.back().empty()) out.pop_back();
  if (out.empty()) throw Error(Code::kDataLoss, cat("labels '", path, "': the file names no class"));
  return out;
}

bool is_classification(const Literal& scores) {
  const auto real = std::count_if(scores.shape().begin(), scores.shape().end(), [](int64_t size) { return size != 1; });
  return is_float(scores.dtype()) && (real == 1 || real == 2) && scores.elements() > 0;
}

std::vector<std::vector<Ranked>> best_classes(const Literal& scores, int64_t count) {
  if (!is_classification(scores) || count < 1) {
    throw Error(Code::kInvalidArgument,
                cat("the best ", count, " classes of ", scores.dtype(), scores.shape(),
                    ": scores are floating, [classes] or [examples, classes], and at least one is asked for"));
  }
  size_t classes = 1;  // the last axis that is not of size 1
  for (const int64_t size : scores.shape()) {
    if (size != 1) classes = static_cast<size_t>(size);
  }
  const std::vector<double> values = scores.to_doubles();
  std::vector<std::vector<Ranked>> out;
  for (size_t at = 0; at < values.size(); at += classes) {
    const std::vector<double> row = probabilities(std::span(values).subspan(at, classes));
    std::vector<Ranked> ranked;
    for (size_t k = 0; k < classes; ++k) ranked.push_back({static_cast<int64_t>(k), row[k]});
    std::stable_sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) {
      return a.probability > b.probability || (!std::isnan(a.probability) && std::isnan(b.probability));
    });
    ranked.resize(std::min(classes, static_cast<size_t>(count)));
    out.push_back(std::move(ranked));
  }
  return out;
}

}  // namespace trireme::vision
