// Any bytes as a Paddle model: it is imported, or refused by an Error. The first four bytes are the size of the program
// (a ProgramDesc, or JSON), the parameters follow it.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

#include "trireme/base/error.h"
#include "trireme/formats/paddle/model.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using trireme::Code;
  uint32_t program = 0;
  if (size < sizeof program) return 0;
  std::memcpy(&program, data, sizeof program);
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(sizeof program);
  const size_t cut = std::min<size_t>(program, bytes.size());
  try {
    const auto model = trireme::formats::paddle::Model::parse(bytes.first(cut), bytes.subspan(cut), "fuzz");
    model.operators();
    model.import_with(2);
  } catch (const trireme::Error& error) {
    if (error.code() == Code::kInternal || error.code() == Code::kIo || error.code() == Code::kDeviceFault)
      std::abort();
  }
  return 0;
}
