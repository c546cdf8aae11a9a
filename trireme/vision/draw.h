// Lines in a picture, to look at what a model saw.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "trireme/core/literal.h"
#include "trireme/vision/text_boxes.h"

namespace trireme::vision {

struct Stroke {
  std::array<uint8_t, 3> colour = {255, 0, 0};  // red green blue
  int64_t width = 2;                            // pixels
};
// The picture, u8 [height, width, 3], with the closed line through the points. What lies outside is left out.
Literal with_outline(const Literal& picture, std::span<const Point> points, const Stroke& stroke = {});

}  // namespace trireme::vision
