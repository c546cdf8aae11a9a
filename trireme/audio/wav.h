// WAV files (RIFF): uncompressed samples, PCM of 8, 16, 24 and 32 bits or floating of 32 and 64.
//
// A damaged or truncated file is an Error kDataLoss that names its source; other codings are kUnsupported.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "trireme/core/literal.h"

namespace trireme::audio {

struct Wav {
  int64_t rate = 0;  // samples per second
  Literal samples;   // f32 [channels, length]; whole numbers are scaled to -1 .. 1
};

Wav read_wav(const std::string& path);
// The same for bytes in memory; `source` stands for the file's name in messages.
Wav parse_wav(std::span<const std::byte> bytes, const std::string& source);

// PCM of 16 bits, written atomically; samples f32 [channels, length], cut to -1 .. 1.
void write_wav(const std::string& path, const Wav& wav);

}  // namespace trireme::audio
