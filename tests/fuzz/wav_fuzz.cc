// Any bytes as a WAV file: accepted ones have finite samples, no more than the file has bytes.
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "trireme/audio/wav.h"
#include "trireme/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using trireme::Code;
  try {
    const auto wav = trireme::audio::parse_wav(std::as_bytes(std::span(data, size)), "fuzz");
    if (wav.rate < 1 || static_cast<size_t>(wav.samples.elements()) > size) std::abort();
    for (const float value : wav.samples.values<float>()) {
      if (!std::isfinite(value)) std::abort();
    }
  } catch (const trireme::Error& error) {
    if (error.code() != Code::kDataLoss && error.code() != Code::kUnsupported) std::abort();
  }
  return 0;
}
