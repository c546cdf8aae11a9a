#include "trireme/core/device_name.h"

#include <charconv>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme {

std::string DeviceName::text() const { return cat(chip, ":", index); }

std::string DeviceName::full_text() const {
  std::string out = text();
  for (size_t i = 0; i < options.size(); ++i) out += cat(i ? "&" : "?", options[i].first, "=", options[i].second);
  return out;
}

DeviceName parse_device_name(std::string_view text) {
  const auto fail = [&](std::string_view what) {
    throw Error(Code::kInvalidArgument,
                cat("device '", text, "': ", what, "; write chip, chip:index or chip:index?key=value&key=value"));
  };
  DeviceName out;
  const size_t question = text.find('?');
  const std::string_view place = text.substr(0, question);
  const size_t colon = place.find(':');
  out.chip = std::string(place.substr(0, colon));
  if (out.chip.empty()) fail("the chip's name is missing");
  if (colon != std::string_view::npos) {
    const std::string_view digits = place.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.index);
    if (error != std::errc{} || end != digits.data() + digits.size() || out.index < 0) {
      fail(cat("'", digits, "' is no index"));
    }
  }
  if (question == std::string_view::npos) return out;
  for (const std::string& pair : split(text.substr(question + 1), '&')) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) fail(cat("option '", pair, "' is not key=value"));
    out.options.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
  }
  return out;
}

}  // namespace trireme
