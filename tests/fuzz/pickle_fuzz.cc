// Any bytes as a PyTorch file; and, when the first byte is odd, as the pickle inside of one.
#include <cstdint>
#include <cstdlib>

#include "trireme/base/error.h"
#include "trireme/formats/pickle.h"
#include "trireme/formats/pytorch.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using trireme::Code;
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    if (size > 0 && data[0] % 2 == 1) {
      const trireme::formats::Pickle pickle(bytes.subspan(1), "fuzz",
                                            [](std::string_view name) { return name.starts_with("torch"); });
      if (pickle.bytes() > size) std::abort();
    } else {
      for (const auto& [name, tensor] : trireme::formats::parse_pytorch(nullptr, bytes, "fuzz").tensors) {
        if (tensor.elements() < 1 << 20) tensor.to_doubles();
      }
    }
  } catch (const trireme::Error& error) {
    if (error.code() != Code::kDataLoss && error.code() != Code::kUnsupported) std::abort();
  }
  return 0;
}
