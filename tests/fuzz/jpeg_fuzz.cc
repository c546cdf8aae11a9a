// Any bytes behind the three that begin a JPEG, so that all of them reach its decoder.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "trireme/base/error.h"
#include "trireme/data/image.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using trireme::Code;
  std::string bytes = "\xff\xd8\xff";
  if (size > 3) bytes.append(reinterpret_cast<const char*>(data) + 3, size - 3);
  try {
    const auto pixels = trireme::data::decode_image(std::as_bytes(std::span<const char>(bytes)), "fuzz");
    if (pixels.elements() < 1 || pixels.shape().rank() != 3) std::abort();
  } catch (const trireme::Error& error) {
    if (error.code() != Code::kDataLoss && error.code() != Code::kOutOfMemory) std::abort();
  }
  return 0;
}
