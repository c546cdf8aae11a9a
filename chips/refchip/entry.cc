// The one symbol the library shows. In a file of its own: it alone is compiled for each name of the entry.
#include <cstdlib>

#include "plugin.h"

extern "C" TRM_EXPORT int32_t TRIREME_CHIP_ENTRY(const TrmHost* host, TrmChip* chip) {
  const char* persona = std::getenv("TRIREME_REFCHIP_PERSONA");
  return trireme::refchip::make_plugin(persona && *persona ? persona : "full", "refchip", host, chip);
}
