// From a detector's raw outputs to the things it saw.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "trireme/core/literal.h"
#include "trireme/vision/boxes.h"

namespace trireme::vision {

struct Detection {
  Box box;
  int64_t kind;  // the class
  double score;
};

// Boxes of cells that give each side's distance as a distribution over 0 .. bins - 1 steps (generalized focal loss, Li
// et al. 2020; PicoDet, NanoDet). logits [cells, 4 * bins], left top right bottom; the cells of a grid of rows of
// `columns` cells, `stride` pixels apart, measured from their middles. In pixels of the network's input.
std::vector<Box> boxes_of_distributions(const Literal& logits, int64_t columns, double stride);

// Boxes from offsets to prior boxes (SSD, Liu et al. 2016). offsets and priors [boxes, 4]: offsets of middle x, middle
// y, log width, log height; priors middle x, middle y, width, height. Offsets are multiplied by the variances.
std::vector<Box> boxes_of_priors(const Literal& offsets, const Literal& priors,
                                 const std::array<double, 4>& variances = {0.1, 0.1, 0.2, 0.2});

struct DetectOptions {
  double least_score = 0.3, most_overlap = 0.5;
  int64_t most = 100;
  int64_t background = -1;  // a class that is nothing
};
// What stays of all classes after suppression within each class, best first. scores [boxes, classes].
std::vector<Detection> detect(const std::vector<Box>& boxes, const Literal& scores, const DetectOptions& options = {});

}  // namespace trireme::vision
