#include "trireme/data/synthetic.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "trireme/base/strings.h"
#include "trireme/data/random.h"

namespace trireme::data {

namespace {

std::vector<std::string> numbered(int64_t classes) {
  std::vector<std::string> out;
  for (int64_t i = 0; i < classes; ++i) out.push_back(cat(i));
  return out;
}

}  // namespace

DatasetPointer wave_images(int64_t count, int64_t size, int64_t classes, uint64_t seed) {
  constexpr double kWaves = 3.0, kNoise = 40.0;  // waves across a picture; grey levels
  Literal images = Literal::zeros(u8, {count, 3, size, size}), labels = Literal::zeros(i32, {count});
  auto* pixel = static_cast<uint8_t*>(images.mutable_data());
  auto* label = static_cast<int32_t*>(labels.mutable_data());
  for (int64_t i = 0; i < count; ++i) {
    RandomStream random(seed, Purpose::kDraw, 0, static_cast<uint64_t>(i));
    label[i] = static_cast<int32_t>(random.below(static_cast<uint64_t>(classes)));
    const double direction = std::numbers::pi * label[i] / static_cast<double>(classes);
    const double rate = 2 * std::numbers::pi * kWaves * random.uniform(0.9, 1.1) / static_cast<double>(size);
    const double phase = random.uniform(0, 2 * std::numbers::pi);
    for (int channel = 0; channel < 3; ++channel) {
      const double gain = random.uniform(30, 80);
      for (int64_t y = 0; y < size; ++y) {
        for (int64_t x = 0; x < size; ++x) {
          const double along =
              static_cast<double>(x) * std::cos(direction) + static_cast<double>(y) * std::sin(direction);
          const double value = 127.5 + gain * std::sin(rate * along + phase) + random.uniform(-kNoise, kNoise);
          *pixel++ = static_cast<uint8_t>(std::clamp(std::lround(value), 0L, 255L));
        }
      }
    }
  }
  return tensor_dataset({{"image", images}, {"label", labels}}, numbered(classes));
}

DatasetPointer subject_tokens(int64_t count, int64_t length, int64_t vocabulary, int64_t classes, uint64_t seed) {
  Literal tokens = Literal::zeros(i32, {count, length}), labels = Literal::zeros(i32, {count});
  auto* token = static_cast<int32_t*>(tokens.mutable_data());
  auto* label = static_cast<int32_t*>(labels.mutable_data());
  for (int64_t i = 0; i < count; ++i) {
    RandomStream random(seed, Purpose::kDraw, 1, static_cast<uint64_t>(i));
    label[i] = static_cast<int32_t>(random.below(static_cast<uint64_t>(classes)));
    const int64_t first = label[i] * vocabulary / classes, end = (label[i] + 1) * vocabulary / classes;
    for (int64_t t = 0; t < length; ++t) {
      const bool own = random.below(5) < 2;
      *token++ =
          static_cast<int32_t>(own ? first + static_cast<int64_t>(random.below(static_cast<uint64_t>(end - first)))
                                   : static_cast<int64_t>(random.below(static_cast<uint64_t>(vocabulary))));
    }
  }
  return tensor_dataset({{"tokens", tokens}, {"label", labels}}, numbered(classes));
}

}  // namespace trireme::data
