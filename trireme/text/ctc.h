// Decoding of CTC outputs (Graves et al. 2006): T scores over C classes, of which one is the blank. A path of classes
// stands for the text in which repeats are merged and blanks then dropped: "--aa-ab" is "aab".
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "trireme/core/literal.h"

namespace trireme {

// The text of the best path of each example. scores [N, T, C], floating; logits or probabilities, the order is the
// same.
std::vector<std::vector<int32_t>> ctc_greedy(const Literal& scores, int64_t blank);

struct CtcHypothesis {
  std::vector<int32_t> classes;
  double log_probability = 0.0;  // over all paths that were followed
};
// Prefix beam search: the `width` most probable texts of one example, best first, where a text's probability is the sum
// over its paths. log_probabilities [T, C], as log_softmax gives them. With a width of all prefixes it is exact.
std::vector<CtcHypothesis> ctc_beam(const Literal& log_probabilities, int64_t blank, int64_t width = 10);

// The symbols of classes in a row. A class without a symbol is kInvalidArgument.
std::string ctc_text(std::span<const int32_t> classes, const std::vector<std::string>& symbols);

}  // namespace trireme
