// Codes, models and kinds of the Kunlun runtime (XRE), under their public names and values. Plain C.
#ifndef TRIREME_XPU_DEFS_H
#define TRIREME_XPU_DEFS_H

#include <stdint.h>

// NOLINTBEGIN(readability-identifier-naming): the public names of the vendor's interface

#ifdef __cplusplus
#define XPU_DEFAULT(value) = value
extern "C" {
#else
#define XPU_DEFAULT(value)
#endif

// Functions return 0, or a code of this list with a minus sign.
typedef enum {
  XPU_SUCCESS = 0,
  XPUERR_INVALID_DEVICE = 701,
  XPUERR_UNINIT = 702,
  XPUERR_NODEV = 703,  // there are no devices
  XPUERR_VERSION = 704,
  XPUERR_NOMEM = 705,     // of the device
  XPUERR_NOCPUMEM = 706,  // of the host
  XPUERR_INVALID_PARAM = 707,
  XPUERR_NOXPUFUNC = 708,
  XPUERR_LDSO = 709,
  XPUERR_LDSYM = 710,
  XPUERR_SIMULATOR = 711,  // a knob of the simulator has a value it does not know
  XPUERR_NOSUPPORT = 712,
  XPUERR_ABNORMAL = 713,    // what every launch and wait says after 714, 715 or 808, until the device is reset
  XPUERR_KEXCEPTION = 714,  // a kernel did something illegal
  XPUERR_TIMEOUT = 715,
  XPUERR_BUSY = 716,
  XPUERR_USEAFCLOSE = 717,
  XPUERR_UCECC = 718,
  XPUERR_OVERHEAT = 719,
  XPUERR_UNEXPECT = 800,
  XPUERR_DEVRESET = 801,
  XPUERR_HWEXCEPTION = 802,
  XPUERR_HBM_INIT = 803,
  XPUERR_DEVINIT = 804,
  XPUERR_PEERRESET = 805,
  XPUERR_MAXDEV = 806,
  XPUERR_NOIOC = 807,
  XPUERR_DMATIMEOUT = 808,
  XPUERR_DMAABORT = 809,
  XPUERR_MCUUNINIT = 810,
  XPUERR_OLDFW = 811,
  XPUERR_PCIE = 812,
  XPUERR_FAULT = 813,
  XPUERR_INTERRUPTED = 814,
  XPUERR_AESTIMEOUT = 815,
  XPUERR_HOSTMEM_ALREADY_REGISTERED = 816,
  XPUERR_TRACER = 817,
} XPUError_t;

// What a code means; the sign does not matter. Codes below 700 are those of errno. Never null.
const char* xpu_strerror(int code);

// Values of XPUATTR_MODEL. Up to KL1_END the chip is of the first generation, up to KL2_END of the second, and so on.
typedef enum {
  KL1_BEGIN = 0,
  K200 = 0,
  K100 = 1,
  KL1_END = 1,
  KL2_BEGIN = 2,
  R200 = 2,
  R300 = 3,
  R200_8F = 4,
  R200_8FS = 5,
  R100 = 6,
  R200_DEBUG_BOARD = 7,
  R420 = 8,
  RG800 = 9,
  KL2_END = 299,
  KL3_BEGIN = 300,
  KL3 = 300,
  KL3_END = 599,
} DeviceModel;

// The name of a model, "Unknown model" for others. Never null.
const char* xpu_device_model_str(int model);

typedef enum {
  XPU_MEM_HBM = 0,
  XPU_MEM_MAIN = 0,  // the large memory of the device, GM in kernels
  XPU_MEM_L3 = 1,    // the small fast one
  XPU_USER_ALLOCABLE_MEM_COUNT,
  XPU_MEM_MMAPPABLE = 16,  // not supported by the virtual device
} XPUMemoryKind;

typedef enum {
  XPU_DEVICE_TO_HOST = 0,
  XPU_HOST_TO_DEVICE = 1,
  XPU_DEVICE_TO_DEVICE = 2,
} XPUMemcpyKind;

enum {
  MAX_DEVICE_NUM = 64,  // devices from here on are simulators
};

#ifdef __cplusplus
}
#endif

// NOLINTEND(readability-identifier-naming)

#endif
