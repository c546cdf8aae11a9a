#include "chips/kunlun/runtime.h"

#include <cstdlib>

#include "xpu/runtime.h"

namespace trireme::kunlun {

const TrmHost* host = nullptr;

namespace {

TrmCode code_for(int code) {
  switch (code) {
    case XPUERR_NOMEM:
    case XPUERR_NOCPUMEM: return TRM_OUT_OF_MEMORY;
    case XPUERR_INVALID_DEVICE:
    case XPUERR_INVALID_PARAM:
    case XPUERR_USEAFCLOSE: return TRM_INVALID;
    case XPUERR_NOSUPPORT: return TRM_UNSUPPORTED;
    default: return is_fatal(code) ? TRM_DEVICE_LOST : TRM_FAULT;
  }
}

}  // namespace

bool is_fatal(int code) {
  switch (code) {
    case XPUERR_ABNORMAL:
    case XPUERR_KEXCEPTION:
    case XPUERR_TIMEOUT:
    case XPUERR_DMATIMEOUT:
    case XPUERR_DEVRESET: return true;
    default: return false;
  }
}

RuntimeFailure::RuntimeFailure(int code, const std::string& doing)
    : Failure(code_for(std::abs(code)), "the runtime could not " + doing + ": " + xpu_strerror(code) + " (" +
                                            std::to_string(std::abs(code)) + ")"),
      code_(std::abs(code)) {}

}  // namespace trireme::kunlun
