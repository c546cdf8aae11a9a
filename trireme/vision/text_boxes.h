// Text in a picture: from a map of how likely each pixel is text to turned rectangles (differentiable binarization,
// Liao et al. 2020; the detectors of PP-OCR).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "trireme/core/literal.h"

namespace trireme::vision {

struct Point {
  double x, y;
};
// Corners of a rectangle, clockwise in a picture (y goes down), the first being the top left one: that with the
// smallest x + y.
using Corners = std::array<Point, 4>;

struct TextBox {
  Corners corners;
  double score;  // mean probability within the rectangle, before it grows
};

struct TextBoxOptions {
  double threshold = 0.3;    // of a pixel
  double least_score = 0.6;  // of a rectangle
  double unclip = 1.5;      // rectangles grow on every side by this times area / perimeter: the map shows shrunken text
  double least_side = 3.0;  // pixels, before they grow
};
// map floating [H, W], 0 .. 1. Rectangles of the regions above the threshold that hang together (also by corners), in
// pixels of the map, in the order of their first pixel.
std::vector<TextBox> find_text_boxes(const Literal& map, const TextBoxOptions& options = {});

// The rectangle of smallest area around points, at least one; it may be flat.
Corners smallest_rectangle(std::span<const Point> points);

}  // namespace trireme::vision
