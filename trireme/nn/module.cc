#include "trireme/nn/module.h"

#include <array>
#include <cmath>
#include <numbers>

#include "trireme/core/philox.h"

namespace trireme::nn {

namespace {

thread_local bool training_now = false;

// Uniform numbers in (0, 1) on the host, from a fresh key.
class HostDraws {
 public:
  HostDraws() {
    const Literal key = next_key().literal();
    const auto words = key.values<uint32_t>();
    state_ = {words[0], words[1], words[2], words[3]};
  }
  double next() { return (static_cast<double>(philox_word(state_, index_++)) + 0.5) * 0x1p-32; }

 private:
  std::array<uint32_t, 4> state_{};
  uint64_t index_ = 0;
};

template <class F>
Tensor drawn(const Shape& shape, F draw) {
  HostDraws draws;
  std::vector<float> values(static_cast<size_t>(shape.elements()));
  for (float& v : values) v = static_cast<float>(draw(draws));
  return Tensor(Literal::from(std::span<const float>(values), shape));
}

}  // namespace

bool training() { return training_now; }
TrainingMode::TrainingMode(bool on) : previous_(training_now) { training_now = on; }
TrainingMode::~TrainingMode() { training_now = previous_; }

Tensor uniform_init(const Shape& shape, double bound) {
  return drawn(shape, [&](HostDraws& d) { return bound * (2.0 * d.next() - 1.0); });
}

Tensor normal_init(const Shape& shape, double deviation) {
  return drawn(shape, [&](HostDraws& d) {  // Box and Muller 1958
    const double radius = std::sqrt(-2.0 * std::log(d.next()));
    return deviation * radius * std::cos(2.0 * std::numbers::pi * d.next());
  });
}

Tensor kaiming_uniform(const Shape& shape, int64_t fan_in, double slope) {
  return uniform_init(shape, std::sqrt(6.0 / (static_cast<double>(fan_in) * (1.0 + slope * slope))));
}

Tensor xavier_uniform(const Shape& shape, int64_t fan_in, int64_t fan_out) {
  return uniform_init(shape, std::sqrt(6.0 / static_cast<double>(fan_in + fan_out)));
}

Tensor filled(const Shape& shape, double value) { return Tensor(Literal::filled(f32, shape, value)); }

}  // namespace trireme::nn
