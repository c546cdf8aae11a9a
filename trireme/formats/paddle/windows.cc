#include "trireme/formats/paddle/windows.h"

#include "trireme/base/strings.h"

namespace trireme::formats::paddle {

Window window_of(const Call& c, const Shape& image, const Ints& kernel) {
  const auto axes = static_cast<size_t>(image.rank() - 2);
  Window w;
  w.kernel = kernel;
  w.strides = c.integers("strides", Ints(axes, 1));
  w.dilations = c.integers("dilations", Ints(axes, 1));
  const Ints paddings = c.integers("paddings", Ints(axes, 0));
  c.require(kernel.size() == axes && w.strides.size() == axes && w.dilations.size() == axes,
            cat("kernel ", kernel, ", strides ", w.strides, " and dilations ", w.dilations, " for ", axes, " axes"));
  c.require(paddings.size() == axes || paddings.size() == 2 * axes, cat("paddings ", paddings, " for ", axes, " axes"));
  const std::string algorithm = c.string("padding_algorithm", "EXPLICIT");
  for (size_t a = 0; a < axes; ++a) {
    c.require(w.kernel[a] >= 1 && w.strides[a] >= 1 && w.dilations[a] >= 1, "sizes and steps are 1 or more");
    const bool sides = paddings.size() == 2 * axes;
    int64_t low = paddings[sides ? 2 * a : a], high = paddings[sides ? 2 * a + 1 : a];
    if (algorithm == "VALID") {
      low = high = 0;
    } else if (algorithm == "SAME") {
      w.dilations[a] = 1;
      const int64_t size = image[static_cast<int>(a) + 2], stride = w.strides[a];
      const int64_t result = size / stride + (size % stride != 0);
      const int64_t total = std::max<int64_t>(bounded(Wide{result - 1} * stride + w.kernel[a] - size), 0);
      low = total / 2;
      high = total - low;
    } else if (algorithm != "EXPLICIT") {
      c.unsupported(cat("padding_algorithm '", algorithm, "'; supported: EXPLICIT, SAME, VALID"));
    }
    c.require(low >= 0 && high >= 0, cat("paddings ", paddings, " are 0 or more"));
    w.low.push_back(low);
    w.high.push_back(high);
  }
  return w;
}

}  // namespace trireme::formats::paddle
