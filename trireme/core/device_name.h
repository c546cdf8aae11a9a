// The words a user writes to pick a device: "xpu", "xpu:1", "refchip:0?persona=slow-link&seed=7".
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trireme {

struct DeviceName {
  std::string chip;
  int index = 0;
  std::vector<std::pair<std::string, std::string>> options;
  // "xpu:1", without the options.
  std::string text() const;
  // With the options, in the order given.
  std::string full_text() const;
};

// Throws kInvalidArgument with the form expected.
DeviceName parse_device_name(std::string_view text);

}  // namespace trireme
