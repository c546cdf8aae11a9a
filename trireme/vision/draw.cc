#include "trireme/vision/draw.h"

#include <algorithm>
#include <cmath>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::vision {

Literal with_outline(const Literal& picture, std::span<const Point> points, const Stroke& stroke) {
  if (picture.dtype() != u8 || picture.shape().rank() != 3 || picture.shape()[2] != 3) {
    throw Error(Code::kInvalidArgument, cat("a line is drawn into u8 [height, width, 3]; given ", picture.dtype(), " ",
                                            picture.shape(), "; read the picture with 3 channels"));
  }
  const int64_t height = picture.shape()[0], width = picture.shape()[1];
  Literal out = Literal::zeros(u8, picture.shape());
  auto* pixels = static_cast<uint8_t*>(out.mutable_data());
  std::copy_n(static_cast<const uint8_t*>(picture.data()), picture.bytes(), pixels);
  const double reach = static_cast<double>(stroke.width) / 2;
  // Pixels whose middle is nearer to the line than half the stroke.
  for (size_t i = 0; i < points.size(); ++i) {
    const Point a = points[i], b = points[(i + 1) % points.size()];
    if (!std::isfinite(a.x + a.y + b.x + b.y)) continue;
    const auto limit = [](double value, int64_t most) {
      return static_cast<int64_t>(std::clamp(value, 0.0, static_cast<double>(most)));
    };
    const int64_t top = limit(std::floor(std::min(a.y, b.y) - reach), height),
                  bottom = limit(std::ceil(std::max(a.y, b.y) + reach) + 1, height),
                  left = limit(std::floor(std::min(a.x, b.x) - reach), width),
                  right = limit(std::ceil(std::max(a.x, b.x) + reach) + 1, width);
    const double along_x = b.x - a.x, along_y = b.y - a.y, length = along_x * along_x + along_y * along_y;
    for (int64_t y = top; y < bottom; ++y) {
      for (int64_t x = left; x < right; ++x) {
        const double from_x = static_cast<double>(x) - a.x, from_y = static_cast<double>(y) - a.y;
        const double part = length > 0 ? std::clamp((from_x * along_x + from_y * along_y) / length, 0.0, 1.0) : 0.0;
        if (std::hypot(from_x - part * along_x, from_y - part * along_y) > reach) continue;
        std::copy_n(stroke.colour.begin(), 3, pixels + (y * width + x) * 3);
      }
    }
  }
  return out;
}

}  // namespace trireme::vision
