// Personas of refchip as devices of the runtime: each is added to this process as a chip of its own, so that plans,
// tensors and compiled functions run on many of them side by side.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "trireme/base/strings.h"
#include "trireme/chip/loader.h"
#include "trireme/runtime/device.h"
#include "trireme/runtime/host.h"

namespace trireme::testing {

// A persona in a file of the test's own; `json` with ' for ".
inline std::string write_persona(const std::string& name, std::string json) {
  for (char& c : json) c = c == '\'' ? '"' : c;
  const std::string path = ::testing::TempDir() + name + ".json";
  FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) throw std::runtime_error("cannot write " + path);
  std::fwrite(json.data(), 1, json.size(), file);
  std::fclose(file);
  return path;
}

// The chip of a persona (a built-in name or the path of a JSON file), added at the first call.
inline const chip::Chip& persona_chip(const std::string& persona) {
  using Entry = int32_t (*)(const char*, const TrmHost*, TrmChip*);
  static std::mutex mutex;
  static std::map<std::string, const chip::Chip*> known;
  static Entry entry = nullptr;
  static std::string wanted;  // an entry takes no argument of ours
  const std::lock_guard lock(mutex);
  if (entry == nullptr) {
    const chip::Chip& main = chip::all_chips(runtime::host_services()).get("refchip");
    entry = reinterpret_cast<Entry>(const_cast<void*>(main.extension("refchip.entry", 1)));
  }
  const chip::Chip*& slot = known[persona];
  if (slot == nullptr) {
    wanted = persona;
    slot = &chip::add_chip([](const TrmHost* host, TrmChip* chip) { return entry(wanted.c_str(), host, chip); },
                           runtime::host_services());
  }
  return *slot;
}

inline runtime::Device& persona_device(const std::string& persona, int index = 0) {
  return runtime::Device::get(cat(persona_chip(persona).name(), ":", index));
}

// A number the chip counts: "chunks" and "bytes" not yet freed, "streams", "commands".
inline uint64_t counted(const runtime::Device& device, const char* key) {
  char text[64] = "";
  TrmErr err{};
  err.struct_size = sizeof err;
  if (device.chip().device().attr_get(device.handle(), key, text, sizeof text, &err) != TRM_OK) {
    throw std::runtime_error(err.text);
  }
  return std::stoull(text);
}

// The personas whose results must be right; the others fail by design.
inline const std::vector<std::string>& capable_personas() {
  static const std::vector<std::string> names = {"full",        "minimal-13",   "minimal-8",    "mandatory",
                                                 "handle-only", "whole-memory", "no-streams",   "no-bf16",
                                                 "no-i64",      "nhwc-only",    "engine-only",  "no-strided-copy",
                                                 "tiny-memory", "slow-link",    "missing-top20"};
  return names;
}

}  // namespace trireme::testing
