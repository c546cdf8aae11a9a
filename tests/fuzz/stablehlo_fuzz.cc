// Any text as a StableHLO file: its modules are imported, or refused by an Error.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "trireme/base/error.h"
#include "trireme/formats/stablehlo/program.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using trireme::Code;
  using trireme::formats::stablehlo::Program;
  const auto check = [](const trireme::Error& error) {
    if (error.code() == Code::kInternal || error.code() == Code::kIo || error.code() == Code::kDeviceFault)
      std::abort();
  };
  try {
    const auto program = Program::parse(std::string(reinterpret_cast<const char*>(data), size));
    for (const auto& module : program.modules()) {
      const auto& function = Program::entry(module);
      Program::operators(module, function);
      try {
        Program::import(module, function);
      } catch (const trireme::Error& error) {
        check(error);
      }
    }
  } catch (const trireme::Error& error) {
    check(error);
  }
  return 0;
}
