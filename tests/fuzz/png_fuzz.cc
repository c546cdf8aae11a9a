// Any bytes as a picture: the first bytes decide between PNG and JPEG.
#include <cstdint>
#include <cstdlib>

#include "trireme/base/error.h"
#include "trireme/data/image.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using trireme::Code;
  try {
    const auto pixels =
        trireme::data::decode_image(std::as_bytes(std::span(data, size)), "fuzz", size % 2 == 0 ? 1 : 3);
    if (pixels.elements() < 1 || pixels.shape().rank() != 3) std::abort();
  } catch (const trireme::Error& error) {
    if (error.code() != Code::kDataLoss && error.code() != Code::kOutOfMemory) std::abort();
  }
  return 0;
}
