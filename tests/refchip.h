// Drives refchip through the C ABI, as a host does: one plug-in per persona, opened devices, memory.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "trireme/chip/chip.h"
#include "trireme/runtime/host.h"

extern "C" int32_t trm_chip_entry_v1_refchip(const TrmHost* host, TrmChip* chip);

namespace trireme::refchip_test {

// What the chip told the host, since the test began.
struct Heard {
  std::mutex mutex;
  std::vector<std::string> log;
  std::vector<TrmTraceRow> rows;
  std::vector<std::string> row_names;
};
inline Heard& heard() {
  static Heard one;
  return one;
}

// The real host, but with our ears.
inline const TrmHost& host() {
  static const TrmHost one = [] {
    TrmHost h = runtime::host_services();
    h.log = [](uint32_t, const char* text) {
      std::lock_guard lock(heard().mutex);
      heard().log.emplace_back(text);
    };
    h.trace_emit = [](const TrmTraceRow* row) {
      std::lock_guard lock(heard().mutex);
      heard().rows.push_back(*row);
      heard().row_names.emplace_back(row->name);
    };
    return h;
  }();
  return one;
}

inline TrmErr no_error() {
  TrmErr err{};
  err.struct_size = sizeof err;
  return err;
}

using PersonaEntry = int32_t (*)(const char*, const TrmHost*, TrmChip*);
inline PersonaEntry persona_entry() {
  TrmChip main{};
  main.struct_size = sizeof main;
  EXPECT_EQ(trm_chip_entry_v1_refchip(&host(), &main), TRM_OK);
  const auto entry = reinterpret_cast<PersonaEntry>(const_cast<void*>(main.get_ext("refchip.entry", 1)));
  main.shutdown();
  return entry;
}

// A plug-in of one persona (a built-in name or the path of a file) with one open device.
class Refchip {
 public:
  explicit Refchip(const std::string& persona, uint32_t index = 0) {
    chip.struct_size = sizeof chip;
    EXPECT_EQ(persona_entry()(persona.c_str(), &host(), &chip), TRM_OK);
    TrmErr err = no_error();
    EXPECT_EQ(chip.device->open(index, nullptr, 0, &dev, &err), TRM_OK) << err.text;
  }
  ~Refchip() {
    if (dev) {
      EXPECT_EQ(chip.device->close(dev), TRM_OK);
    }
    chip.shutdown();
  }
  Refchip(const Refchip&) = delete;

  const TrmDeviceBank* operator->() const { return chip.device; }

  TrmMem alloc(uint64_t bytes, uint32_t space = 1) {
    TrmMem mem{};
    TrmErr err = no_error();
    EXPECT_EQ(chip.device->chunk_alloc(dev, space, bytes, 0, &mem, &err), TRM_OK) << err.text;
    return mem;
  }
  template <class T>
  TrmMem upload(const std::vector<T>& values) {
    const TrmMem mem = alloc(values.size() * sizeof(T));
    EXPECT_EQ(copy(mem, host_mem(values), nullptr, 0), TRM_OK);
    EXPECT_EQ(sync(), TRM_OK);
    return mem;
  }
  template <class T>
  std::vector<T> download(const TrmMem& mem) {
    std::vector<T> values(mem.bytes / sizeof(T));
    EXPECT_EQ(copy(host_mem(values), mem, nullptr, 0), TRM_OK);
    EXPECT_EQ(sync(), TRM_OK);
    return values;
  }
  template <class T>
  static TrmMem host_mem(const std::vector<T>& values) {
    return {reinterpret_cast<uint64_t>(values.data()), 0, values.size() * sizeof(T), TRM_HOST_SPACE, 0};
  }
  int32_t copy(const TrmMem& dst, const TrmMem& src, TrmStream* stream, uint64_t tag) {
    const TrmCopy c{sizeof(TrmCopy), 0, dst, src, std::min(dst.bytes, src.bytes)};
    last = no_error();
    return chip.device->copy(dev, &c, stream, tag, &last);
  }
  int32_t fill(const TrmMem& mem, int32_t value, TrmStream* stream, uint64_t tag) {
    last = no_error();
    return chip.device->fill(dev, &mem, &value, sizeof value, stream, tag, &last);
  }
  int32_t sync() {
    last = no_error();
    return chip.device->sync(dev, &last);
  }
  TrmStream* stream() {
    TrmStream* made = nullptr;
    EXPECT_EQ(chip.device->stream_create(dev, 0, &made, nullptr), TRM_OK);
    return made;
  }
  TrmEvent* event() {
    TrmEvent* made = nullptr;
    EXPECT_EQ(chip.device->event_create(dev, &made, nullptr), TRM_OK);
    return made;
  }
  int32_t status(TrmStream* stream) {
    last = no_error();
    return chip.device->stream_status(dev, stream, &last);
  }
  int32_t stream_sync(TrmStream* stream) {
    last = no_error();
    return chip.device->stream_sync(dev, stream, &last);
  }
  int32_t event_sync(TrmEvent* event) {
    last = no_error();
    return chip.device->event_sync(dev, event, &last);
  }
  std::string attribute(const char* key) {
    char text[64] = "";
    EXPECT_EQ(chip.device->attr_get(dev, key, text, sizeof text, nullptr), TRM_OK);
    return text;
  }

  TrmChip chip{};
  TrmDev* dev = nullptr;
  TrmErr last = no_error();
};

// A persona in a file of the test's own.
inline std::string persona_file(const std::string& name, const std::string& json) {
  const std::string path = testing::TempDir() + name + ".json";
  FILE* file = std::fopen(path.c_str(), "w");
  std::fwrite(json.data(), 1, json.size(), file);
  std::fclose(file);
  return path;
}

inline const std::vector<std::string>& persona_names() {
  static const std::vector<std::string> names = {
      "engine-only", "fault-at-tag",    "full",          "handle-only", "late-fault",  "mandatory",
      "minimal-13",  "minimal-8",       "missing-top20", "nhwc-only",   "no-bf16",     "no-i64",
      "no-streams",  "no-strided-copy", "slow-link",     "tiny-memory", "whole-memory"};
  return names;
}

}  // namespace trireme::refchip_test
