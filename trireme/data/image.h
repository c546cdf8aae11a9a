// Pictures: PNG and JPEG in, PNG out. Pixels are u8 [height, width, channels], channels 1 (grey) or 3 (red, green,
// blue); 16-bit samples are scaled to 8, palettes resolved, alpha dropped. A damaged or truncated picture is an Error
// kDataLoss that names its source.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "trireme/core/literal.h"

namespace trireme::data {

// channels 0: as in the file; 1: grey = 0.299 red + 0.587 green + 0.114 blue; 3: grey repeated.
Literal decode_image(std::span<const std::byte> bytes, const std::string& source, int64_t channels = 0);
Literal read_image(const std::string& path, int64_t channels = 0);

// PNG of u8 [height, width, 1 or 3].
std::string encode_png(const Literal& pixels);

// [height, width, channels] to [channels, height, width].
Literal channels_first(const Literal& pixels);

}  // namespace trireme::data
