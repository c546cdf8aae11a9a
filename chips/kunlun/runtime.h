// Codes of the Kunlun runtime as failures of the chip interface.
#pragma once

#include <cstdint>
#include <string>

#include "trireme/chip/chip.hpp"

namespace trireme::kunlun {

using chip::Failure;

// Set once by the entry function.
extern const TrmHost* host;

// A failure that the runtime reported, with its own number.
class RuntimeFailure : public Failure {
 public:
  RuntimeFailure(int code, const std::string& doing);
  int code() const { return code_; }  // positive, of xpu/defs.h

 private:
  int code_;
};

// True when nothing works any more on the device that reported this code.
bool is_fatal(int code);

// Throws RuntimeFailure for a code other than 0.
inline void check(int code, const char* doing) {
  if (code != 0) throw RuntimeFailure(code, doing);
}

}  // namespace trireme::kunlun
