#include "chips/kunlun/card.h"

#include "chips/kunlun/runtime.h"
#include "xpu/runtime.h"

namespace trireme::kunlun {
namespace {

// Published by the vendor, but for the K100 (half a K200) and the third generation, for which there are only estimates.
struct Rates {
  uint64_t first, last;  // models
  double products, byte_products, memory, l3, link;
};
constexpr Rates kRates[] = {
    {K200, K100, 32e12, 128e12, 256e9, 512e9, 12e9},  // of each of the two devices of a K200
    {R100, R100, 64e12, 128e12, 384e9, 1200e9, 24e9},
    {KL2_BEGIN, KL2_END, 128e12, 256e12, 512e9, 1200e9, 24e9},
    {KL3_BEGIN, KL3_END, 345e12, 690e12, 4000e9, 4000e9, 48e9},
};

uint64_t attribute(int device, XPUDeviceAttr which) {
  uint64_t value = 0;
  check(xpu_device_get_attr(&value, which, device), "read an attribute of the device");
  return value;
}

}  // namespace

Card card_of(int device) {
  Card card{};
  card.model = attribute(device, XPUATTR_MODEL);
  card.name = xpu_device_model_str(static_cast<int>(card.model));
  card.architecture = card.model <= KL1_END ? 1 : card.model <= KL2_END ? 2 : 3;
  card.clusters = attribute(device, XPUATTR_NUM_CLUSTER);
  card.sdnn = attribute(device, XPUATTR_NUM_SDNN);
  card.memory_bytes = attribute(device, XPUATTR_MEM_MAIN_CAPACITY);
  card.l3_bytes = attribute(device, XPUATTR_MEM_L3_CAPACITY);
  for (const Rates& rates : kRates) {
    if (card.model < rates.first || card.model > rates.last) continue;
    card.products_per_second = rates.products;
    card.byte_products_per_second = rates.byte_products;
    card.memory_bandwidth = rates.memory;
    card.l3_bandwidth = rates.l3;
    card.link_bandwidth = rates.link;
    break;
  }
  return card;
}

}  // namespace trireme::kunlun
