// Any bytes as an ONNX model: it is imported, or refused by an Error.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "trireme/base/error.h"
#include "trireme/formats/onnx/model.h"
#include "trireme/formats/onnx/outline.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using trireme::Code;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto outline = trireme::formats::onnx::outline_of(bytes);  // what Model::load does first
  try {
    const auto model = trireme::formats::onnx::Model::parse(bytes, "fuzz");
    if (outline) trireme::formats::onnx::Model::parse(std::as_bytes(std::span(outline->bytes)), "outline");
    model.operators();
    model.import_with(2);
  } catch (const trireme::Error& error) {
    if (error.code() == Code::kInternal || error.code() == Code::kIo || error.code() == Code::kDeviceFault)
      std::abort();
  }
  return 0;
}
