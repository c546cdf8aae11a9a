// Any bytes as an idx file and as a gzip file.
#include <cstdint>
#include <cstdlib>

#include "trireme/base/error.h"
#include "trireme/data/idx.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using trireme::Code;
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    trireme::data::parse_idx(bytes, "fuzz").to_doubles();
  } catch (const trireme::Error& error) {
    if (error.code() != Code::kDataLoss) std::abort();
  }
  try {
    trireme::data::gunzip(bytes, "fuzz", size_t{1} << 20);
  } catch (const trireme::Error& error) {
    if (error.code() != Code::kDataLoss) std::abort();
  }
  return 0;
}
