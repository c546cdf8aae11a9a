// Digits drawn from the machine's fonts, for machines where MNIST cannot be had: same fields and sizes ("image" u8
// [1, 28, 28], white on black; "label" i32 []), random font, size, slant, rotation, place and noise. Example i is a
// function of (seed, i) and the fonts found.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trireme/data/dataset.h"

namespace trireme::data {

// Font files (.ttf, .otf) of the system and the user that can draw 0 to 9, in byte order of their paths.
std::vector<std::string> digit_fonts();

// Draws with the given fonts; kNotFound, naming the package to install, when the list is empty.
DatasetPointer draw_digits(int64_t count, uint64_t seed, const std::vector<std::string>& fonts = digit_fonts());

}  // namespace trireme::data
