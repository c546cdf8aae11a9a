#include <cstdlib>
#include <cstring>

#include "xpu/defs.h"

extern "C" {

const char* xpu_strerror(int code) {
  const int positive = std::abs(code);
  if (positive != 0 && positive < XPUERR_INVALID_DEVICE) return strerror(positive);
  switch (positive) {
    case XPU_SUCCESS: return "success";
    case XPUERR_INVALID_DEVICE: return "there is no such device";
    case XPUERR_UNINIT: return "the runtime is not initialised";
    case XPUERR_NODEV: return "there are no devices";
    case XPUERR_VERSION: return "versions of runtime and driver do not fit";
    case XPUERR_NOMEM: return "not enough device memory";
    case XPUERR_NOCPUMEM: return "not enough host memory";
    case XPUERR_INVALID_PARAM: return "invalid parameter";
    case XPUERR_NOXPUFUNC: return "not a function of the device";
    case XPUERR_LDSO: return "a dynamic library cannot be loaded";
    case XPUERR_LDSYM: return "a symbol of a dynamic library is missing";
    case XPUERR_SIMULATOR: return "the simulator cannot do this; see its environment variables";
    case XPUERR_NOSUPPORT: return "not supported";
    case XPUERR_ABNORMAL: return "the device is in an abnormal state after an earlier failure; reset it";
    case XPUERR_KEXCEPTION: return "a kernel raised an exception";
    case XPUERR_TIMEOUT: return "a kernel ran too long";
    case XPUERR_BUSY: return "busy";
    case XPUERR_USEAFCLOSE: return "a stream or event was used after it was destroyed";
    case XPUERR_UCECC: return "memory error that cannot be corrected";
    case XPUERR_OVERHEAT: return "the device is too hot";
    case XPUERR_UNEXPECT: return "unexpected state";
    case XPUERR_DEVRESET: return "the device is being reset";
    case XPUERR_HWEXCEPTION: return "exception of a hardware module";
    case XPUERR_HBM_INIT: return "the memory cannot be initialised";
    case XPUERR_DEVINIT: return "the device cannot be initialised";
    case XPUERR_PEERRESET: return "the peer device is being reset";
    case XPUERR_MAXDEV: return "too many devices";
    case XPUERR_NOIOC: return "unknown driver command";
    case XPUERR_DMATIMEOUT: return "a transfer took too long";
    case XPUERR_DMAABORT: return "a transfer was broken off";
    case XPUERR_MCUUNINIT: return "the firmware is not initialised";
    case XPUERR_OLDFW: return "the firmware is too old";
    case XPUERR_PCIE: return "PCIe error";
    case XPUERR_FAULT: return "the driver cannot reach memory of the process";
    case XPUERR_INTERRUPTED: return "interrupted";
    case XPUERR_AESTIMEOUT: return "decryption took too long";
    case XPUERR_HOSTMEM_ALREADY_REGISTERED: return "the host memory is already registered";
    case XPUERR_TRACER: return "error of the tracer";
    default: return "unknown error";
  }
}

const char* xpu_device_model_str(int model) {
  switch (model) {
    case K200: return "K200";
    case K100: return "K100";
    case R200: return "R200";
    case R300: return "R300";
    case R200_8F: return "R200-8F";
    case R200_8FS: return "R200-8FS";
    case R100: return "R100";
    case R200_DEBUG_BOARD: return "R200_DEBUG_BOARD";
    case R420: return "R420";
    case RG800: return "RG800";
    case KL3: return "KL3";
    default: return "Unknown model";
  }
}

}  // extern "C"
