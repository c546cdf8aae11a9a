// What a classifier's scores say: names of classes, and the best of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trireme/core/literal.h"

namespace trireme::vision {

// Names of classes in order: a text file with one per line, or a .json file with a list of names or a table from class
// to name ({"0": "tench"}; a class it leaves out has an empty name). kDataLoss when it is neither.
std::vector<std::string> read_labels(const std::string& path);

struct Ranked {
  int64_t index;
  double probability;
};
// Whether scores can be ranked: floating, [classes] or [examples, classes] but for axes of size 1, not empty.
bool is_classification(const Literal& scores);

// The `count` best classes of each example, best first, of equal ones the lower class. Scores that are no probabilities
// already (0 or more, adding up to 1) go through a softmax. kInvalidArgument when they cannot be ranked.
std::vector<std::vector<Ranked>> best_classes(const Literal& scores, int64_t count);

}  // namespace trireme::vision
