// trireme chips: what can be computed on, and plug-ins that could not be loaded.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "trireme/base/error.h"
#include "trireme/chip/loader.h"
#include "trireme/runtime/host.h"

namespace trireme::cli {

namespace {

void list_chips(bool as_json) {
  const chip::ChipTable& table = chip::all_chips(runtime::host_services());
  nlohmann::json chips = nlohmann::json::array(), failures = nlohmann::json::array();
  for (const auto& chip : table.chips) {
    nlohmann::json devices = nlohmann::json::array();
    uint32_t count = 0;
    try {
      count = chip->device_count();
    } catch (const Error& failure) {
      failures.push_back({{"path", chip->path()}, {"reason", failure.what()}});
    }
    for (uint32_t i = 0; i < count; ++i) {
      TrmProps props{};
      props.struct_size = sizeof props;
      TrmErr err{};
      err.struct_size = sizeof err;
      if (chip->device().props(i, &props, &err) != TRM_OK) continue;
      devices.push_back({{"name", props.name},
                         {"memory_bytes", props.spaces[0].bytes},
                         {"flops_f32", props.flops_f32},
                         {"memory_bandwidth", props.memory_bandwidth}});
    }
    chips.push_back({{"chip", chip->name()},
                     {"vendor", chip->vendor()},
                     {"version", chip->plugin_version()},
                     {"from", chip->path()},
                     {"ops", chip->ops().size()},
                     {"compute", chip->compute() != nullptr},
                     {"communication", chip->comm() != nullptr},
                     {"devices", devices}});
  }
  for (const auto& failure : table.failures) failures.push_back({{"path", failure.path}, {"reason", failure.reason}});
  if (as_json) {
    std::printf("%s\n", nlohmann::json{{"chips", chips}, {"failures", failures}}.dump().c_str());
    return;
  }
  for (const auto& chip : chips) {
    std::printf("%-12s %-24s %4zu ops  %s\n", chip["chip"].get<std::string>().c_str(),
                chip["vendor"].get<std::string>().c_str(), chip["ops"].get<size_t>(),
                chip["from"].get<std::string>().c_str());
    int index = 0;
    for (const auto& device : chip["devices"]) {
      std::printf("  %s:%d  %s, %.1f GB\n", chip["chip"].get<std::string>().c_str(), index++,
                  device["name"].get<std::string>().c_str(), device["memory_bytes"].get<double>() * 1e-9);
    }
  }
  for (const auto& failure : failures) {
    std::printf("not loaded: %s\n", failure["reason"].get<std::string>().c_str());
  }
}

}  // namespace

void add_chips(CLI::App& app) {
  CLI::App* command = app.add_subcommand("chips", "List the chips and devices of this machine");
  auto as_json = std::make_shared<bool>(false);
  command->add_flag("--json", *as_json, "print one JSON line");
  command->callback([as_json] { list_chips(*as_json); });
}

}  // namespace trireme::cli
