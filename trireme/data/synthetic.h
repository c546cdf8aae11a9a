// Data sets that need no files: example i is a function of (seed, i), so they are the same on every machine.
#pragma once

#include <cstdint>

#include "trireme/data/dataset.h"

namespace trireme::data {

// Pictures of waves: "image" u8 [3, size, size], "label" i32 []. The class is the direction of the wave; its phase, its
// length within a fifth, the gains of the colours and the noise are random. A single pixel says nothing about the
// class.
DatasetPointer wave_images(int64_t count, int64_t size, int64_t classes, uint64_t seed);

// Sentences of one subject each: "tokens" i32 [length], "label" i32 []. The vocabulary is cut into as many runs as
// there are classes; two tokens in five come from the run of the class, the others from anywhere.
DatasetPointer subject_tokens(int64_t count, int64_t length, int64_t vocabulary, int64_t classes, uint64_t seed);

}  // namespace trireme::data
