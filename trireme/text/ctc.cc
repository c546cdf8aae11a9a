#include "trireme/text/ctc.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme {

namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

void check(const Literal& scores, int rank, std::string_view axes, int64_t blank) {
  if (!is_float(scores.dtype()) || scores.shape().rank() != rank) {
    throw Error(Code::kInvalidArgument,
                cat("CTC scores are floating ", axes, "; given ", scores.dtype(), scores.shape()));
  }
  const int64_t classes = scores.shape()[rank - 1];
  if (blank < 0 || blank >= classes) {
    throw Error(Code::kInvalidArgument, cat("the blank is class ", blank, ", but there are ", classes, " classes"));
  }
}

double log_sum(double a, double b) {
  const double high = std::max(a, b), low = std::min(a, b);
  return high == kNever ? kNever : high + std::log1p(std::exp(low - high));
}

// Log probability of the paths of a prefix so far, by whether their last class is the blank.
struct Ending {
  double blank = kNever, symbol = kNever;
  double total() const { return log_sum(blank, symbol); }
};

}  // namespace

std::vector<std::vector<int32_t>> ctc_greedy(const Literal& scores, int64_t blank) {
  check(scores, 3, "[N, T, C]", blank);
  const int64_t steps = scores.shape()[1], classes = scores.shape()[2];
  const std::vector<double> values = scores.to_doubles();
  std::vector<std::vector<int32_t>> out;
  for (auto row = values.begin(); static_cast<int64_t>(out.size()) < scores.shape()[0];) {
    std::vector<int32_t> text;
    int64_t before = blank;
    for (int64_t t = 0; t < steps; ++t, row += classes) {
      const int64_t best = std::max_element(row, row + classes) - row;
      if (best != blank && best != before) text.push_back(static_cast<int32_t>(best));
      before = best;
    }
    out.push_back(std::move(text));
  }
  return out;
}

std::vector<CtcHypothesis> ctc_beam(const Literal& log_probabilities, int64_t blank, int64_t width) {
  check(log_probabilities, 2, "[T, C]", blank);
  if (width < 1) throw Error(Code::kInvalidArgument, cat("a beam of width ", width, "; give 1 or more"));
  using Prefixes = std::map<std::vector<int32_t>, Ending>;
  const int64_t classes = log_probabilities.shape()[1];
  const std::vector<double> values = log_probabilities.to_doubles();
  std::vector<std::pair<std::vector<int32_t>, Ending>> beam = {{{}, {.blank = 0.0}}};
  for (int64_t t = 0; t < log_probabilities.shape()[0]; ++t) {
    const double* step = values.data() + t * classes;
    Prefixes next;
    for (const auto& [prefix, ending] : beam) {
      Ending& same = next[prefix];
      same.blank = log_sum(same.blank, ending.total() + step[blank]);
      for (int64_t k = 0; k < classes; ++k) {
        if (k == blank || step[k] == kNever) continue;
        const bool repeats = !prefix.empty() && prefix.back() == k;
        // A repeat adds a symbol only after a blank; without one it stays the same text.
        if (repeats) same.symbol = log_sum(same.symbol, ending.symbol + step[k]);
        std::vector<int32_t> longer = prefix;
        longer.push_back(static_cast<int32_t>(k));
        Ending& grown = next[longer];
        grown.symbol = log_sum(grown.symbol, (repeats ? ending.blank : ending.total()) + step[k]);
      }
    }
    std::erase_if(next, [](const auto& each) { return each.second.total() == kNever; });
    beam.assign(next.begin(), next.end());
    const auto kept = static_cast<std::ptrdiff_t>(std::min(beam.size(), static_cast<size_t>(width)));
    std::partial_sort(beam.begin(), beam.begin() + kept, beam.end(),
                      [](const auto& a, const auto& b) { return a.second.total() > b.second.total(); });
    beam.resize(static_cast<size_t>(kept));
  }
  std::vector<CtcHypothesis> out;
  for (auto& [prefix, ending] : beam) out.push_back({std::move(prefix), ending.total()});
  return out;
}

std::string ctc_text(std::span<const int32_t> classes, const std::vector<std::string>& symbols) {
  std::string out;
  for (const int32_t k : classes) {
    if (k < 0 || k >= static_cast<int64_t>(symbols.size())) {
      throw Error(Code::kInvalidArgument, cat("class ", k, " has no symbol; there are ", symbols.size()));
    }
    out += symbols[static_cast<size_t>(k)];
  }
  return out;
}

}  // namespace trireme
