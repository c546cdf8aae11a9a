// The one symbol the library shows. In a file of its own: it alone is compiled for each name of the entry.
#include "chips/kunlun/compute.h"
#include "chips/kunlun/device_bank.h"

extern "C" TRM_EXPORT int32_t TRIREME_CHIP_ENTRY(const TrmHost* host, TrmChip* chip) {
  trireme::kunlun::host = host;
  TrmChip filled = trireme::chip::sized<TrmChip>();
  filled.abi_minor = TRM_ABI_MINOR;
  filled.vendor = "Kunlunxin";
  filled.name = "xpu";
  filled.plugin_version = "0.1.0";
  filled.build_id = "xpu-1";
  filled.device = &trireme::kunlun::device_bank();
  filled.compute = &trireme::kunlun::compute_bank();
  trireme::chip::store(chip, filled);
  return TRM_OK;
}
