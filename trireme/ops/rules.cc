#include "trireme/ops/rules.h"

namespace trireme {

Shape reduced_shape(const Infer& i) {
  const auto axes = i.axes(1, i.integers("axes"), i.rank(0));
  auto sizes = i.shape(0).vector();
  if (i.flag("keepdims")) {
    for (int a : axes) sizes[static_cast<size_t>(a)] = 1;
    return sizes;
  }
  for (auto a = axes.rbegin(); a != axes.rend(); ++a) sizes.erase(sizes.begin() + *a);
  return sizes;
}

AroundAxis around_axis(const Shape& shape, int64_t axis) {
  AroundAxis out;
  const int64_t at = normal_axis(axis, shape.rank());
  for (int a = 0; a < shape.rank(); ++a) (a < at ? out.outer : a == at ? out.size : out.inner) *= shape[a];
  return out;
}

}  // namespace trireme
