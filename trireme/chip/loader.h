// Finds chips: those built in (from the folders of chips/) and plug-ins named by the environment variable
// TRIREME_CHIPS (files or folders, separated by ':'). Both go through the same table and the same checks.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "trireme/chip/chip.h"

namespace trireme::chip {

struct BuiltinChip {
  const char* name;
  TrmChipEntry entry;
};
// Defined by generated code.
std::span<const BuiltinChip> builtin_chips();

// A chip's tables at their full size: slots beyond what the chip was built with are null. Lives until the process ends.
class Chip {
 public:
  const std::string& name() const { return name_; }
  const std::string& vendor() const { return vendor_; }
  const std::string& plugin_version() const { return version_; }
  const std::string& build_id() const { return build_id_; }
  const std::string& path() const { return path_; }  // of the plug-in; "built in" otherwise
  uint32_t abi_minor() const { return abi_minor_; }
  const TrmDeviceBank& device() const { return device_; }
  // Null when the chip has no such bank.
  const TrmComputeBank* compute() const { return has_compute_ ? &compute_ : nullptr; }
  const TrmCommBank* comm() const { return has_comm_ ? &comm_ : nullptr; }
  const void* extension(const char* name, uint32_t min_version) const;
  // Number of devices; throws kDeviceFault with the chip's own words.
  uint32_t device_count() const;
  // Names of the ops list_ops tells; empty without a compute bank.
  std::vector<std::string> ops() const;

  // Calls the entry and checks what it filled in. Throws kUnsupported or kDataLoss saying what is missing.
  static std::unique_ptr<Chip> from_entry(TrmChipEntry entry, const TrmHost& host, const std::string& path);

 private:
  std::string name_, vendor_, version_, build_id_, path_;
  uint32_t abi_minor_ = 0;
  TrmDeviceBank device_{};
  TrmComputeBank compute_{};
  TrmCommBank comm_{};
  bool has_compute_ = false, has_comm_ = false;
  const void* (*get_ext_)(const char*, uint32_t) = nullptr;
};

struct LoadFailure {
  std::string path, reason;
};

// Loads one plug-in. The entry and enumerate are first tried in a child process with a time limit, so that a plug-in
// that crashes, exits or hangs there (10 seconds, or TRIREME_CHIPS_TIMEOUT) is refused instead of taking the program
// along. Throws kUnsupported, kDataLoss, kNotFound.
std::unique_ptr<Chip> load_plugin(const std::string& path, const TrmHost& host);

// All chips of this process, loaded at the first call; plug-ins that could not be loaded are in `failures`.
struct ChipTable {
  std::vector<std::unique_ptr<Chip>> chips;
  std::vector<LoadFailure> failures;
  // Throws kNotFound naming the nearest chip, or the reason why a plug-in of that name was refused.
  const Chip& get(const std::string& name) const;
};
ChipTable& all_chips(const TrmHost& host);

// Adds a chip from its entry function (tests, programs that bring their own chip). Throws as from_entry, and
// kInvalidArgument when the name is taken.
const Chip& add_chip(TrmChipEntry entry, const TrmHost& host);

}  // namespace trireme::chip
