// Any bytes as a safetensors file and as an npy file: accepted ones must have readable values, refused ones an Error
// with a code for bad input.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "trireme/base/error.h"
#include "trireme/formats/npy.h"
#include "trireme/formats/safetensors.h"

namespace {

using trireme::Code;

template <class Parse>
void parse_or_refuse(Parse&& parse) {
  try {
    parse();
  } catch (const trireme::Error& error) {
    if (error.code() != Code::kDataLoss && error.code() != Code::kUnsupported) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  parse_or_refuse([&] {
    size_t covered = 0;
    for (const auto& [name, literal] : trireme::formats::parse_safetensors(nullptr, bytes, "fuzz").tensors) {
      literal.to_doubles();
      covered += literal.bytes();
    }
    if (covered > size) std::abort();
  });
  parse_or_refuse([&] { trireme::formats::parse_npy(bytes, "fuzz").to_doubles(); });
  return 0;
}
