// Operators of the first releases, which old files still use.
#include "trireme/base/strings.h"
#include "trireme/formats/onnx/call.h"

namespace trireme::formats::onnx {

namespace {

Value per_channel(const Value& v, const Shape& x) { return broadcast(ops::along_axis(v, 1, x.rank()), x); }

void affine(Call& c) { c.result(c.x(0) * c.number("alpha", 1.0) + c.number("beta", 0.0)); }

void image_scaler(Call& c) {
  const Value& x = c.x(0);
  const std::vector<double> bias = c.numbers("bias");
  Value y = x * c.number("scale", 1.0);
  if (!bias.empty()) {
    c.require(x.shape().rank() == 4 && static_cast<int64_t>(bias.size()) == x.shape()[1],
              cat(bias.size(), " biases for ", x.shape()));
    y = y + per_channel(ops::float_vector(x.dtype(), bias), x.shape());
  }
  c.result(y);
}

// border: left, top, right, bottom; or scale: height, width from the left top.
void crop(Call& c) {
  const Value& x = c.x(0);
  const Ints border = c.integers("border"), scale = c.integers("scale");
  c.require(x.shape().rank() == 4 && border.size() == 4, "x has four axes, border four entries");
  int64_t bottom = x.shape()[2] - border[3], right = x.shape()[3] - border[2];
  if (scale.size() == 2) {
    bottom = bounded(Wide{border[1]} + scale[0]);
    right = bounded(Wide{border[0]} + scale[1]);
  }
  c.result(ops::slice(x, {0, 0, border[1], border[0]}, {x.shape()[0], x.shape()[1], bottom, right}, {1, 1, 1, 1}));
}

void scaled_tanh(Call& c) { c.result(ops::tanh(c.x(0) * c.number("beta", 1.0)) * c.number("alpha", 1.0)); }

void parametric_softplus(Call& c) {
  c.result(ops::log(ops::exp(c.x(0) * c.number("beta", 1.0)) + 1.0) * c.number("alpha", 1.0));
}

}  // namespace

std::span<const Mapping> legacy_mappings() {
  static constexpr Mapping table[] = {
      {"Affine", affine, 1, 9},
      {"Crop", crop, 1, 9},
      {"ImageScaler", image_scaler, 1, 9},
      {"ParametricSoftplus", parametric_softplus, 1, 9},
      {"ScaledTanh", scaled_tanh, 1, 9},
  };
  return table;
}

}  // namespace trireme::formats::onnx
