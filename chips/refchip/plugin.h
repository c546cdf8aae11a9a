// Plugin: one filled chip table of one persona. Several live side by side in a process, each as if it were a library of
// its own (docs/guide/personas.md), because a test of personas needs many.
//
// Functions without a device (enumerate, props, open, list_ops, shutdown) cannot know which plug-in they belong to, so
// each of kDoors numbered doors has its own instances of them.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "compute.h"

namespace trireme::refchip {

inline constexpr size_t kDoors = 64;

// The functions that differ from door to door.
struct Door {
  decltype(TrmDeviceBank::enumerate) enumerate;
  decltype(TrmDeviceBank::props) props;
  decltype(TrmDeviceBank::open) open;
  decltype(TrmComputeBank::list_ops) list_ops;
  decltype(TrmChip::shutdown) shutdown;
};

class Plugin {
 public:
  Plugin(const Door& door, const TrmHost* host, Persona persona, std::string chip_name);

  const TrmChip& chip() const { return chip_; }
  uint32_t devices() const { return persona_.devices; }
  TrmProps props(uint32_t index);
  Device* open(uint32_t index, std::span<const TrmOption> options);
  // False when the device is not one of this plug-in.
  bool close(const Device* device);
  std::span<const TrmOpDecl> ops() const { return ops_; }

 private:
  const TrmHost* host_;
  const Persona persona_;
  const std::string chip_name_, build_id_;
  const std::shared_ptr<Memory> memory_;
  std::vector<TrmOpDecl> ops_;
  TrmDeviceBank device_;
  TrmComputeBank compute_;
  TrmChip chip_;
  std::mutex mutex_;
  std::map<uint32_t, Persona> opened_;  // the persona that the user last opened a device with
  std::vector<std::unique_ptr<Device>> open_devices_;
};

// Nulls what the persona withholds. Throws kInvalidArgument for a pattern that names no optional slot.
void withhold(const Persona& persona, TrmDeviceBank& device, TrmComputeBank& compute);

// The banks of a full refchip, but for the functions of the door.
TrmDeviceBank device_bank();
TrmComputeBank compute_bank();

// Makes a plug-in behind a free door and hands out its table. Empty chip_name: from the persona.
int32_t make_plugin(const std::string& persona, const std::string& chip_name, const TrmHost* host, TrmChip* chip);
bool close_device(const Device* device);

}  // namespace trireme::refchip
