// Any bytes as an npz file: accepted ones have readable values, refused ones an Error with a code for bad input.
#include <cstdint>
#include <cstdlib>

#include "trireme/base/error.h"
#include "trireme/formats/npz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using trireme::Code;
  try {
    for (const auto& [name, array] :
         trireme::formats::parse_npz(nullptr, std::as_bytes(std::span(data, size)), "fuzz")) {
      if (array.elements() < 1 << 20) array.to_doubles();
    }
  } catch (const trireme::Error& error) {
    if (error.code() != Code::kDataLoss && error.code() != Code::kUnsupported) std::abort();
  }
  return 0;
}
