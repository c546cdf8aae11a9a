// A virtual Kunlun machine for the length of a test.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "xpu/runtime.h"
#include "xpu/simulator.h"

namespace trireme::testing {

// Every test begins with a machine of its own: `start` chooses it by the environment.
class KunlunTest : public ::testing::Test {
 protected:
  void SetUp() override { start({}); }
  void TearDown() override { clear(); }

  static void start(const std::map<std::string, std::string>& environment) {
    clear();
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
  }

  template <class T>
  static T* device_array(const std::vector<T>& values, XPUMemoryKind kind = XPU_MEM_MAIN) {
    void* pointer = nullptr;
    EXPECT_EQ(xpu_malloc(&pointer, values.size() * sizeof(T), kind), 0);
    EXPECT_EQ(xpu_memcpy(pointer, values.data(), values.size() * sizeof(T), XPU_HOST_TO_DEVICE), 0);
    return static_cast<T*>(pointer);
  }
  template <class T>
  static std::vector<T> host_array(const T* pointer, size_t count) {
    std::vector<T> values(count);
    EXPECT_EQ(xpu_memcpy(values.data(), pointer, count * sizeof(T), XPU_DEVICE_TO_HOST), 0);
    return values;
  }
  static uint64_t now_ns() {
    uint64_t ns = 0;
    EXPECT_EQ(xpusim_clock(&ns), 0);
    return ns;
  }

 private:
  static void clear() {
    for (const char* name : {"XPUSIM_DEVICE_MODEL", "XPUSIM_SIMULATOR_MODE", "XPUSIM_HBM_READ_LATENCY",
                             "XPUSIM_HBM_WRITE_LATENCY", "XPUSIM_BKCL_TIMEOUT", "XPU_VISIBLE_DEVICES"}) {
      unsetenv(name);
    }
    xpusim_restart();
  }
};

}  // namespace trireme::testing
