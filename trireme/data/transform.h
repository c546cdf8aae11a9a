// Transforms of one image [channels, height, width]. The random ones take the stream that the loader keys by (seed,
// epoch, example); a transform for the loader is a lambda that strings them together:
//
//   options.transform = [](Example e, RandomStream& random) {
//     e[0] = normalise(random_flip(random_crop(e[0], 4, random), random), mean, deviation);
//     return e;
//   };
#pragma once

#include <cstdint>
#include <span>

#include "trireme/core/literal.h"
#include "trireme/data/random.h"

namespace trireme::data {

// f32 (x - mean[c]) / deviation[c], with u8 images first scaled to [0, 1]. One value stands for all channels.
Literal normalise(const Literal& image, std::span<const float> mean, std::span<const float> deviation);

// A window of the image's own size from the image with `padding` zeros on every side.
Literal random_crop(const Literal& image, int64_t padding, RandomStream& random);

// Mirrored left to right with probability 1/2.
Literal random_flip(const Literal& image, RandomStream& random);

// The middle of the image.
Literal center_crop(const Literal& image, int64_t height, int64_t width);

// u8 or f32, by a triangle filter as wide as the step between samples: bilinear when growing, free of aliasing when
// shrinking.
Literal resize(const Literal& image, int64_t height, int64_t width);
// The same filter for one axis as a matrix, f32 [to, from]: each row adds up to 1.
Literal resize_weights(int64_t from, int64_t to);

}  // namespace trireme::data
