#include "plugin.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <utility>

#include "broken.h"
#include "kept_kernels.h"
#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::refchip {
namespace {

// ---- optional slots ----------------------------------------------------------------------------------------------

struct Slot {
  const char* name;
  size_t offset;  // in its bank
};
#define SLOT(name) \
  { #name, offsetof(TrmDeviceBank, name) }
constexpr Slot kDeviceSlots[] = {
    SLOT(fill),          SLOT(copy_strided),   SLOT(host_register), SLOT(host_unregister), SLOT(mem_info),
    SLOT(peer_access),   SLOT(ipc_export),     SLOT(ipc_import),    SLOT(attr_get),        SLOT(reset),
    SLOT(stream_create), SLOT(stream_destroy), SLOT(stream_query),  SLOT(stream_sync),     SLOT(stream_status),
    SLOT(event_create),  SLOT(event_destroy),  SLOT(event_record),  SLOT(event_wait),      SLOT(event_query),
    SLOT(event_sync),    SLOT(event_elapsed),  SLOT(capture_begin), SLOT(capture_end),     SLOT(replay),
    SLOT(replay_free),   SLOT(clock_sample),   SLOT(trace_start),   SLOT(trace_stop),      SLOT(fault_inject),
};
#undef SLOT
#define SLOT(name) \
  { #name, offsetof(TrmComputeBank, name) }
// The last six are null in every persona; withholding them is legal and changes nothing.
constexpr Slot kComputeSlots[] = {
    SLOT(partition),   SLOT(serialize),     SLOT(deserialize), SLOT(codegen_info), SLOT(module_compile),
    SLOT(module_load), SLOT(module_unload), SLOT(module_func), SLOT(launch),
};
#undef SLOT

// Each bank is a table of pointers behind its size; a slot is nulled by its offset.
void null_slots(const Persona& persona, std::span<const Slot> slots, void* bank) {
  for (const Slot& slot : slots) {
    if (persona.withholds(slot.name)) std::memset(static_cast<std::byte*>(bank) + slot.offset, 0, sizeof(void (*)()));
  }
}

std::vector<std::string> optional_slots() {
  std::vector<std::string> names;
  for (const Slot& slot : kDeviceSlots) names.emplace_back(slot.name);
  for (const Slot& slot : kComputeSlots) names.emplace_back(slot.name);
  return names;
}

// What a device's user can tell apart by null slots.
std::vector<bool> shape_of(const Persona& persona) {
  std::vector<bool> withheld;
  for (const std::string& slot : optional_slots()) withheld.push_back(persona.withholds(slot));
  withheld.push_back(persona.partition);
  return withheld;
}

// ---- doors -------------------------------------------------------------------------------------------------------

struct Hall {
  std::mutex mutex;
  std::array<std::unique_ptr<Plugin>, kDoors> plugins;
};
// Never destroyed: workers of devices that nobody closed may still run while the process ends.
Hall& hall() {
  static Hall* const one = new Hall;
  return *one;
}

Plugin& plugin_at(size_t door) {
  std::lock_guard lock(hall().mutex);
  if (!hall().plugins[door]) throw chip::Failure(TRM_INVALID, "the plug-in was shut down");
  return *hall().plugins[door];
}

TrmCode code_of(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
    case Code::kNotFound: return TRM_INVALID;
    case Code::kUnsupported: return TRM_UNSUPPORTED;
    case Code::kOutOfMemory: return TRM_OUT_OF_MEMORY;
    default: return TRM_INTERNAL;
  }
}

// guarded() with the codes of trireme::Error, which reading a persona throws.
template <class F>
int32_t guarded(TrmErr* err, F&& body) {
  return chip::guarded(err, [&] {
    try {
      body();
    } catch (const Error& error) {
      throw chip::Failure(code_of(error.code()), error.what());
    }
  });
}

template <size_t kDoor>
constexpr Door make_door() {
  return {
      .enumerate = [](uint32_t* count,
                      TrmErr* err) { return guarded(err, [&] { *count = plugin_at(kDoor).devices(); }); },
      .props = [](uint32_t index, TrmProps* props,
                  TrmErr* err) { return guarded(err, [&] { chip::store(props, plugin_at(kDoor).props(index)); }); },
      .open =
          [](uint32_t index, const TrmOption* options, uint32_t option_count, TrmDev** dev, TrmErr* err) {
            return guarded(err, [&] {
              *dev = reinterpret_cast<TrmDev*>(plugin_at(kDoor).open(index, {options, option_count}));
            });
          },
      .list_ops =
          [](const TrmOpDecl** ops, uint32_t* count) {
            return guarded(nullptr, [&] {
              const auto list = plugin_at(kDoor).ops();
              *ops = list.data();
              *count = static_cast<uint32_t>(list.size());
            });
          },
      .shutdown =
          [] {
            std::unique_ptr<Plugin> gone;
            std::lock_guard lock(hall().mutex);
            gone.swap(hall().plugins[kDoor]);
          },
  };
}

template <size_t... kDoor>
constexpr std::array<Door, kDoors> make_doors(std::index_sequence<kDoor...>) {
  return {make_door<kDoor>()...};
}
constexpr std::array<Door, kDoors> kAllDoors = make_doors(std::make_index_sequence<kDoors>());

// The extension "refchip.entry": one more plug-in, of the given persona.
int32_t entry_of_persona(const char* persona, const TrmHost* host, TrmChip* chip) {
  return make_plugin(persona, "", host, chip);
}

// The extension "refchip.defects": names of the broken chips; null behind the last.
const char* defect_name(uint32_t index) { return index < defects().size() ? defects()[index].name : nullptr; }

const void* get_ext(const char* name, uint32_t min_version) {
  const std::string_view wanted = name;
  if (min_version > 1) return nullptr;
  if (wanted == "refchip.entry") return reinterpret_cast<const void*>(&entry_of_persona);
  if (wanted == "refchip.defects") return reinterpret_cast<const void*>(&defect_name);
  return nullptr;
}

}  // namespace

void withhold(const Persona& persona, TrmDeviceBank& device, TrmComputeBank& compute) {
  for (const std::string& pattern : persona.withhold) {
    Persona alone;
    alone.withhold = {pattern};
    const auto names = optional_slots();
    if (std::any_of(names.begin(), names.end(), [&](const std::string& slot) { return alone.withholds(slot); }))
      continue;
    throw Error(Code::kInvalidArgument, cat("persona ", persona.name, ".withhold: \"", pattern,
                                            "\" names no optional slot of chip.h; the nearest "
                                            "is \"",
                                            nearest_name(pattern, names), "\""));
  }
  null_slots(persona, kDeviceSlots, &device);
  null_slots(persona, kComputeSlots, &compute);
  if (!persona.partition) compute.partition = nullptr;
}

Plugin::Plugin(const Door& door, const TrmHost* host, Persona persona, std::string chip_name)
    : host_(host),
      persona_(std::move(persona)),
      chip_name_(chip_name.empty() ? persona_.chip_name() : std::move(chip_name)),
      build_id_(build_id(persona_)),
      memory_(std::make_shared<Memory>(persona_.addressing)),
      device_(device_bank()),
      compute_(compute_bank()),
      chip_(chip::sized<TrmChip>()) {
  if (!persona_.all_ops) {
    for (const std::string& op : persona_.ops) ops_.push_back({op.c_str(), persona_.dtypes.bits, 0});
  }
  device_.enumerate = door.enumerate;
  device_.props = door.props;
  device_.open = door.open;
  compute_.list_ops = door.list_ops;
  withhold(persona_, device_, compute_);
  if (persona_.defect && persona_.defect->slots) persona_.defect->slots(device_, compute_);
  chip_.abi_minor = TRM_ABI_MINOR;
  chip_.vendor = "Trireme";
  chip_.name = chip_name_.c_str();
  chip_.plugin_version = "1.0.0";
  chip_.build_id = build_id_.c_str();
  chip_.device = &device_;
  chip_.compute = persona_.compute ? &compute_ : nullptr;
  chip_.shutdown = door.shutdown;
  chip_.get_ext = get_ext;
}

TrmProps Plugin::props(uint32_t index) {
  if (index >= persona_.devices) {
    throw chip::Failure(TRM_INVALID, cat("device ", index, " of ", persona_.devices));
  }
  std::lock_guard lock(mutex_);
  const auto opened = opened_.find(index);
  const Persona& p = opened == opened_.end() ? persona_ : opened->second;
  TrmProps props = chip::sized<TrmProps>();
  props.flags = TRM_DETERMINISTIC | TRM_VIRTUAL_TIME;
  if (p.synchronous) props.flags |= TRM_SYNC_ONLY;
  chip::put_text(props.name, cat("refchip ", p.name));
  props.native_dtypes = p.compute ? p.dtypes.bits : 0;
  props.spaces[props.space_count++] = {kDeviceSpace, TRM_SPACE_DEVICE, static_cast<uint32_t>(p.addressing), p.alignment,
                                       p.memory_bytes};
  if (p.pinned_bytes) {
    props.spaces[props.space_count++] = {kPinnedSpace, TRM_SPACE_PINNED, TRM_FLAT, p.alignment, p.pinned_bytes};
  }
  props.flops_f32 = p.flops_f32;
  props.flops_low = p.flops_low;
  props.memory_bandwidth = p.memory_bandwidth;
  props.link_bandwidth = p.link_bandwidth;
  props.link_latency_ns = p.link_latency_ns;
  props.launch_latency_ns = p.launch_latency_ns;
  props.error_precision = p.error_precision;
  props.units = p.units;
  return props;
}

Device* Plugin::open(uint32_t index, std::span<const TrmOption> options) {
  if (index >= persona_.devices) {
    throw chip::Failure(TRM_INVALID, cat("device ", index, " of ", persona_.devices));
  }
  Persona persona = persona_;
  for (const TrmOption& option : options) {
    if (std::string_view(option.key) != "persona") {
      throw chip::Failure(TRM_INVALID, cat("unknown option \"", option.key, "\"; refchip has the option \"persona\""));
    }
    persona = load_persona(option.value);
    if (shape_of(persona) != shape_of(persona_)) {
      throw chip::Failure(
          TRM_UNSUPPORTED,
          cat("persona ", persona.name, " has other optional slots than ", persona_.name,
              ", and slots belong to the whole plug-in; start the program with TRIREME_REFCHIP_PERSONA=",
              option.value));
    }
  }
  const bool shared = persona.addressing == persona_.addressing;
  auto device = std::make_unique<Device>(index, persona, host_,
                                         shared ? memory_ : std::make_shared<Memory>(persona.addressing), build_id_);
  std::lock_guard lock(mutex_);
  opened_.insert_or_assign(index, std::move(persona));
  open_devices_.push_back(std::move(device));
  return open_devices_.back().get();
}

bool Plugin::close(const Device* device) {
  std::unique_ptr<Device> gone;
  {
    std::lock_guard lock(mutex_);
    const auto found = std::find_if(open_devices_.begin(), open_devices_.end(),
                                    [&](const auto& open) { return open.get() == device; });
    if (found == open_devices_.end()) return false;
    gone = std::move(*found);
    open_devices_.erase(found);
  }
  return true;
}

int32_t make_plugin(const std::string& persona, const std::string& chip_name, const TrmHost* host, TrmChip* chip) {
  TrmErr err = chip::sized<TrmErr>();
  const int32_t code = guarded(&err, [&] {
    Hall& all = hall();
    std::lock_guard lock(all.mutex);
    const auto free = std::find(all.plugins.begin(), all.plugins.end(), nullptr);
    if (free == all.plugins.end()) {
      throw chip::Failure(TRM_OUT_OF_MEMORY, cat("refchip has ", kDoors, " plug-ins at once at most; shut one down"));
    }
    const auto number = static_cast<size_t>(free - all.plugins.begin());
    *free = std::make_unique<Plugin>(kAllDoors[number], host, load_persona(persona), chip_name);
    chip::store(chip, (*free)->chip());
  });
  if (code != TRM_OK && host && host->log) host->log(TRM_LOG_ERROR, err.text);  // an entry has no TrmErr to fill
  return code;
}

bool close_device(const Device* device) {
  for (size_t door = 0; door < kDoors; ++door) {
    Plugin* plugin = nullptr;
    {
      std::lock_guard lock(hall().mutex);
      plugin = hall().plugins[door].get();
    }
    if (plugin && plugin->close(device)) return true;
  }
  return false;
}

}  // namespace trireme::refchip
