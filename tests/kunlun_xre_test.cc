// The runtime of the virtual Kunlun device, rule by rule.
//
// ctest: links=trireme_kunlun_virtual
#include <cerrno>
#include <cstring>
#include <thread>

#include "chips/kunlun/virtual/generation.h"
#include "chips/kunlun/virtual/xre/kernel_code.h"
#include "kunlun.h"

namespace trireme::testing {
namespace {

using KunlunXre = KunlunTest;
using KunlunXreDeathTest = KunlunTest;

uint64_t attribute(XPUDeviceAttr attribute, int device) {
  uint64_t value = ~0ull;
  EXPECT_EQ(xpu_device_get_attr(&value, attribute, device), 0);
  return value;
}

int device_count() {
  int count = -1;
  EXPECT_EQ(xpu_device_count(&count), 0);
  return count;
}

// A kernel that writes `value` to an int; takes 1000 ns for each cluster.
struct StoreParameters {
  uint64_t address;
  int32_t value, padding;
};
double store(const xpu::Launch& launch, const void*) {
  StoreParameters parameters;
  std::memcpy(&parameters, launch.parameters.data(), sizeof parameters);
  std::byte* to = launch.memory(parameters.address, sizeof(int32_t));
  if (!to) throw xpu::KernelFault("out of bounds");
  std::memcpy(to, &parameters.value, sizeof(int32_t));
  return 1000.0 * launch.clusters;
}
const xpu::KernelCode kStore = {.run = store, .context = nullptr};

XPUFunc store_function() {
  XPUFunc function = nullptr;
  EXPECT_EQ(xpu_create_cl_func(&function, reinterpret_cast<uint64_t>(&kStore), sizeof kStore, 0,
                               sizeof(StoreParameters) / 4, 1, "store"),
            0);
  return function;
}

int launch_store(int32_t* to, int32_t value, XPUStream stream = nullptr, int clusters = 1) {
  static thread_local XPUFunc function;
  function = store_function();
  const StoreParameters parameters{reinterpret_cast<uint64_t>(to), value, 0};
  if (const int code = xpu_launch_config(clusters, 64, stream)) return code;
  if (const int code = xpu_launch_argument_set(&parameters, sizeof parameters, 0)) return code;
  return xpu_launch_async(function);
}

int32_t peek(const int32_t* from) {
  int32_t value = 0;
  EXPECT_EQ(xpu_memcpy(&value, from, sizeof value, XPU_DEVICE_TO_HOST), 0);
  return value;
}

XPUStream make_stream() {
  XPUStream stream = nullptr;
  EXPECT_EQ(xpu_stream_create(&stream), 0);
  return stream;
}

XPUEvent make_event() {
  XPUEvent event = nullptr;
  EXPECT_EQ(xpu_event_create(&event), 0);
  return event;
}

// ---- devices

TEST_F(KunlunXre, default_machine_is_one_r200) {
  EXPECT_EQ(device_count(), 1);
  EXPECT_EQ(attribute(XPUATTR_MODEL, 0), R200);
  EXPECT_EQ(attribute(XPUATTR_MEM_MAIN_CAPACITY, 0), 16ull << 30);
  EXPECT_EQ(attribute(XPUATTR_MEM_L3_CAPACITY, 0), 64ull << 20);
  EXPECT_EQ(attribute(XPUATTR_NUM_CLUSTER, 0), 8u);
  EXPECT_EQ(attribute(XPUATTR_NUM_SDNN, 0), 6u);
  uint64_t value = 0;
  EXPECT_EQ(xpu_device_get_attr(&value, XPUATTR_NUM_ENC, 0), -XPUERR_NOSUPPORT);
  EXPECT_EQ(xpu_device_get_attr(&value, static_cast<XPUDeviceAttr>(15), 0), -XPUERR_INVALID_PARAM);
}

TEST_F(KunlunXre, k200_shows_two_devices_on_one_board) {
  start({{"XPUSIM_DEVICE_MODEL", "KUNLUN1"}});
  ASSERT_EQ(device_count(), 2);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(attribute(XPUATTR_MODEL, i), K200);
    EXPECT_EQ(attribute(XPUATTR_BOARDID, i), 0u);
    EXPECT_EQ(attribute(XPUATTR_ONBOARDID, i), static_cast<uint64_t>(i));
    EXPECT_EQ(attribute(XPUATTR_NUM_CLUSTER, i), 4u);
    EXPECT_EQ(attribute(XPUATTR_MEM_MAIN_CAPACITY, i), 8ull << 30);
  }
  EXPECT_NE(attribute(XPUATTR_PCI_ADDRESS, 0), attribute(XPUATTR_PCI_ADDRESS, 1));
}

TEST_F(KunlunXre, models_fall_into_their_generation) {
  for (const xpu::Generation& generation : xpu::generations()) {
    start({{"XPUSIM_DEVICE_MODEL", generation.name}});
    ASSERT_EQ(device_count(), generation.devices) << generation.name;
    const int model = static_cast<int>(attribute(XPUATTR_MODEL, 0));
    const int architecture = model <= KL1_END ? 1 : model <= KL2_END ? 2 : 3;
    EXPECT_EQ(architecture, generation.architecture) << generation.name;
    EXPECT_STRNE(xpu_device_model_str(model), "Unknown model");
  }
  EXPECT_STREQ(xpu_device_model_str(600), "Unknown model");
}

TEST_F(KunlunXre, visible_devices_are_counted_from_zero) {
  start({{"XPUSIM_DEVICE_MODEL", "R480-X8"}, {"XPU_VISIBLE_DEVICES", "0,2,3"}});
  ASSERT_EQ(device_count(), 3);
  int list[3] = {};
  ASSERT_EQ(xpu_device_list(list), 0);
  EXPECT_EQ(std::vector<int>(list, list + 3), (std::vector<int>{0, 2, 3}));
  EXPECT_EQ(attribute(XPUATTR_DEVID, 1), 2u);
  EXPECT_EQ(xpu_set_device(2), 0);
  EXPECT_EQ(xpu_set_device(3), -XPUERR_INVALID_DEVICE);
  EXPECT_EQ(xpu_set_device(-1), -XPUERR_INVALID_DEVICE);
}

TEST_F(KunlunXre, empty_list_shows_no_device) {
  start({{"XPU_VISIBLE_DEVICES", ""}});
  EXPECT_EQ(device_count(), 0);
  EXPECT_EQ(xpu_set_device(0), -XPUERR_NODEV);
  void* pointer = nullptr;
  EXPECT_EQ(xpu_malloc(&pointer, 64), -XPUERR_NODEV);
  EXPECT_EQ(xpu_wait(), -XPUERR_NODEV);
}

TEST_F(KunlunXre, list_ends_at_what_cannot_be_read) {
  for (const auto& [list, count] :
       std::map<std::string, int>{{"1,0", 2}, {"1,x,0", 1}, {"9", 0}, {"2,2,3", 1}, {"3,-1", 1}, {"0, 1", 1}}) {
    start({{"XPUSIM_DEVICE_MODEL", "R480-X8"}, {"XPU_VISIBLE_DEVICES", list}});
    EXPECT_EQ(device_count(), count) << list;
  }
}

TEST_F(KunlunXre, wrong_knobs_are_refused) {
  for (const auto& [name, value] : std::map<std::string, std::string>{{"XPUSIM_DEVICE_MODEL", "R999"},
                                                                      {"XPUSIM_SIMULATOR_MODE", "SYSTEMC"},
                                                                      {"XPUSIM_HBM_READ_LATENCY", "fast"},
                                                                      {"XPUSIM_HBM_WRITE_LATENCY", "-1"}}) {
    start({{name, value}});
    int count = 0;
    EXPECT_EQ(xpu_device_count(&count), -XPUERR_SIMULATOR) << name;
  }
  start({{"XPUSIM_SIMULATOR_MODE", "FUNCTION"}, {"XPUSIM_HBM_READ_LATENCY", "100"}});
  EXPECT_EQ(device_count(), 1);
}

TEST_F(KunlunXre, current_device_belongs_to_the_thread) {
  start({{"XPUSIM_DEVICE_MODEL", "K200"}});
  ASSERT_EQ(xpu_set_device(1), 0);
  int other = -1, own = -1;
  std::thread([&] {
    xpu_current_device(&other);
    xpu_set_device(0);
  }).join();
  EXPECT_EQ(other, 0);
  EXPECT_EQ(xpu_current_device(&own), 0);
  EXPECT_EQ(own, 1);
}

TEST_F(KunlunXre, simulator_numbers_mean_the_same_devices) {
  start({{"XPUSIM_DEVICE_MODEL", "K200"}});
  EXPECT_EQ(DEVICE_SIMULATOR(1), MAX_DEVICE_NUM + 1);
  EXPECT_EQ(DEVICE_SIMULATOR(DEVICE_SIMULATOR(1)), MAX_DEVICE_NUM + 1);
  ASSERT_EQ(xpu_set_device(DEVICE_SIMULATOR(1)), 0);
  int current = -1;
  EXPECT_EQ(xpu_current_device(&current), 0);
  EXPECT_EQ(current, 1);
  EXPECT_EQ(xpu_set_device(DEVICE_SIMULATOR(2)), -XPUERR_INVALID_DEVICE);
}

TEST_F(KunlunXre, links_form_rings_of_eight) {
  start({{"XPUSIM_DEVICE_MODEL", "R480-X8"}});
  for (int device = 0; device < 8; ++device) {
    for (int port = 0; port < 4; ++port) {
      int peer = -1, back = -1;
      ASSERT_EQ(xpu_get_ccix_peer_id(device, port, &peer), 0);
      ASSERT_EQ(xpu_get_ccix_peer_id(peer, port ^ 1, &back), 0);
      EXPECT_EQ(back, device);
    }
  }
  start({});
  int peer = 0;
  EXPECT_EQ(xpu_get_ccix_peer_id(0, 0, &peer), 0);
  EXPECT_LT(peer, 0);
  EXPECT_EQ(xpu_get_ccix_peer_id(0, 4, &peer), -XPUERR_INVALID_PARAM);
}

// ---- memory

TEST_F(KunlunXre, bytes_come_back) {
  for (const XPUMemoryKind kind : {XPU_MEM_MAIN, XPU_MEM_L3}) {
    const std::vector<float> values{1, 2, 3, 4, 5};
    const float* device = device_array(values, kind);
    EXPECT_EQ(host_array(device, 5), values);
    EXPECT_EQ(host_array(device + 1, 3), (std::vector<float>{2, 3, 4}));
  }
}

TEST_F(KunlunXreDeathTest, host_cannot_touch_device_memory) {
  volatile int* pointer = device_array(std::vector<int>{7});
  EXPECT_DEATH((void)*pointer, "");
  EXPECT_DEATH(*pointer = 1, "");
}

TEST_F(KunlunXre, memory_is_as_large_as_the_device) {
  void *half = nullptr, *rest = nullptr;
  ASSERT_EQ(xpu_malloc(&half, 8ull << 30), 0);  // pages come when they are used
  EXPECT_EQ(xpu_malloc(&rest, (8ull << 30) + 1), -XPUERR_NOMEM);
  EXPECT_EQ(xpu_malloc(&rest, ~0ull), -XPUERR_NOMEM);
  EXPECT_EQ(xpu_malloc(&rest, 8ull << 30), 0);
  EXPECT_EQ(xpu_malloc(&rest, 1), -XPUERR_NOMEM);
  EXPECT_EQ(xpu_malloc(&rest, 64ull << 20, XPU_MEM_L3), 0);
  EXPECT_EQ(xpu_malloc(&rest, 1, XPU_MEM_L3), -XPUERR_NOMEM);
  ASSERT_EQ(xpu_free(half), 0);
  EXPECT_EQ(xpu_malloc(&rest, 1), 0);
}

TEST_F(KunlunXre, wrong_allocations_are_refused) {
  void* pointer = nullptr;
  EXPECT_EQ(xpu_malloc(&pointer, 0), -XPUERR_INVALID_PARAM);
  EXPECT_EQ(xpu_malloc(nullptr, 8), -XPUERR_INVALID_PARAM);
  EXPECT_EQ(xpu_malloc(&pointer, 8, XPU_MEM_MMAPPABLE), -XPUERR_NOSUPPORT);
  EXPECT_EQ(xpu_malloc(&pointer, 8, static_cast<XPUMemoryKind>(5)), -XPUERR_INVALID_PARAM);
  ASSERT_EQ(xpu_malloc(&pointer, 8), 0);
  EXPECT_EQ(xpu_free(static_cast<char*>(pointer) + 4), -XPUERR_INVALID_PARAM);
  EXPECT_EQ(xpu_free(pointer), 0);
  EXPECT_EQ(xpu_free(pointer), -XPUERR_INVALID_PARAM);
  EXPECT_EQ(xpu_free(nullptr), -XPUERR_INVALID_PARAM);
}

TEST_F(KunlunXre, leaks_are_counted) {
  uint64_t blocks = 0, bytes = 0, streams = 0, events = 0;
  void* pointer = nullptr;
  ASSERT_EQ(xpu_malloc(&pointer, 100), 0);
  const XPUStream stream = make_stream();
  const XPUEvent event = make_event();
  ASSERT_EQ(xpusim_memory_usage(0, XPU_MEM_MAIN, &blocks, &bytes), 0);
  ASSERT_EQ(xpusim_handles(&streams, &events), 0);
  EXPECT_EQ(std::vector<uint64_t>({blocks, bytes, streams, events}), (std::vector<uint64_t>{1, 100, 1, 1}));
  EXPECT_EQ(xpu_free(pointer), 0);
  EXPECT_EQ(xpu_stream_destroy(stream), 0);
  EXPECT_EQ(xpu_event_destroy(event), 0);
  ASSERT_EQ(xpusim_memory_usage(0, XPU_MEM_MAIN, &blocks, &bytes), 0);
  ASSERT_EQ(xpusim_handles(&streams, &events), 0);
  EXPECT_EQ(std::vector<uint64_t>({blocks, bytes, streams, events}), (std::vector<uint64_t>{0, 0, 0, 0}));
}

TEST_F(KunlunXre, copies_outside_of_a_block_are_refused) {
  int host[4] = {};
  int* device = device_array(std::vector<int>{1, 2, 3});
  EXPECT_EQ(xpu_memcpy(host, device, 16, XPU_DEVICE_TO_HOST), -XPUERR_INVALID_PARAM);
  EXPECT_EQ(xpu_memcpy(device + 2, host, 8, XPU_HOST_TO_DEVICE), -XPUERR_INVALID_PARAM);
  EXPECT_EQ(xpu_memcpy(device, host, 4, XPU_DEVICE_TO_DEVICE), -XPUERR_INVALID_PARAM);
  EXPECT_EQ(xpu_memcpy(device, device, 4, XPU_HOST_TO_DEVICE), -XPUERR_INVALID_PARAM);  // not host memory
  EXPECT_EQ(xpu_memcpy(device, nullptr, 4, XPU_HOST_TO_DEVICE), -XPUERR_INVALID_PARAM);
  EXPECT_EQ(xpu_memcpy(device, host, 4, static_cast<XPUMemcpyKind>(3)), -XPUERR_INVALID_PARAM);
  EXPECT_EQ(xpu_memcpy(device + 1, device, 8, XPU_DEVICE_TO_DEVICE), 0);
  EXPECT_EQ(host_array(device, 3), (std::vector<int>{1, 1, 2}));
}

TEST_F(KunlunXre, memory_of_another_device_is_refused) {
  start({{"XPUSIM_DEVICE_MODEL", "K200"}});
  int* first = device_array(std::vector<int>{5});
  ASSERT_EQ(xpu_set_device(1), 0);
  int* second = device_array(std::vector<int>{6});
  int value = 0;
  EXPECT_EQ(xpu_memcpy(&value, first, 4, XPU_DEVICE_TO_HOST), -XPUERR_INVALID_PARAM);
  EXPECT_EQ(xpu_free(first), -XPUERR_INVALID_PARAM);
  EXPECT_EQ(xpu_memcpy_peer(1, second, 0, first, 4), 0);
  EXPECT_EQ(peek(second), 5);
  EXPECT_EQ(xpu_memcpy_peer(0, second, 1, first, 4), -XPUERR_INVALID_PARAM);
  EXPECT_EQ(xpu_memcpy_peer(2, second, 0, first, 4), -XPUERR_INVALID_DEVICE);
}

TEST_F(KunlunXre, host_memory_is_pinned_once) {
  char buffer[256];
  EXPECT_EQ(xpu_host_register(buffer, 256, 1), -XPUERR_INVALID_PARAM);
  EXPECT_EQ(xpu_host_register(buffer + 64, 64, 0), 0);
  EXPECT_EQ(xpu_host_register(buffer, 65, 0), -XPUERR_HOSTMEM_ALREADY_REGISTERED);
  EXPECT_EQ(xpu_host_register(buffer + 127, 1, 0), -XPUERR_HOSTMEM_ALREADY_REGISTERED);
  EXPECT_EQ(xpu_host_register(buffer, 64, 0), 0);
  EXPECT_EQ(xpu_host_unregister(buffer), 0);
  EXPECT_EQ(xpu_host_unregister(buffer), -XPUERR_INVALID_PARAM);
  void* own = nullptr;
  ASSERT_EQ(xpu_host_alloc(&own, 1000, 0), 0);
  std::memset(own, 1, 1000);
  EXPECT_EQ(xpu_host_unregister(own), -XPUERR_INVALID_PARAM);
  EXPECT_EQ(xpu_host_free(own), 0);
  EXPECT_EQ(xpu_host_free(own), -XPUERR_INVALID_PARAM);
}

// ---- order

TEST_F(KunlunXre, copy_to_host_waits_for_the_default_stream) {
  int* device = device_array(std::vector<int>{0});
  ASSERT_EQ(launch_store(device, 1), 0);
  EXPECT_EQ(peek(device), 1);
}

TEST_F(KunlunXre, copy_to_host_does_not_wait_for_other_streams) {
  int* device = device_array(std::vector<int>{0});
  const XPUStream stream = make_stream();
  ASSERT_EQ(launch_store(device, 1, stream), 0);
  EXPECT_EQ(peek(device), 0);  // old data, every time
  ASSERT_EQ(xpu_wait(stream), 0);
  EXPECT_EQ(peek(device), 1);
}

TEST_F(KunlunXre, copy_to_device_overtakes_kernels) {
  int* device = device_array(std::vector<int>{0});
  ASSERT_EQ(launch_store(device, 1), 0);
  const int value = 2;
  ASSERT_EQ(xpu_memcpy(device, &value, 4, XPU_HOST_TO_DEVICE), 0);
  ASSERT_EQ(xpu_wait(), 0);
  EXPECT_EQ(peek(device), 1);  // the kernel came second
}

TEST_F(KunlunXre, copy_within_the_device_overtakes_kernels) {
  int* device = device_array(std::vector<int>{0, 5});
  ASSERT_EQ(launch_store(device, 1), 0);
  ASSERT_EQ(xpu_memcpy(device + 1, device, 4, XPU_DEVICE_TO_DEVICE), 0);
  ASSERT_EQ(xpu_wait(), 0);
  EXPECT_EQ(host_array(device, 2), (std::vector<int>{1, 0}));
}

TEST_F(KunlunXre, async_copies_keep_their_place_in_the_stream) {
  int* device = device_array(std::vector<int>{0});
  const XPUStream stream = make_stream();
  int before = -1, after = -1, value = 3;
  ASSERT_EQ(xpu_memcpy_async(&before, device, 4, XPU_DEVICE_TO_HOST, stream), 0);
  ASSERT_EQ(xpu_memcpy_async(device, &value, 4, XPU_HOST_TO_DEVICE, stream), 0);
  value = 4;  // too early: the copy reads it when it runs
  ASSERT_EQ(xpu_memcpy_async(&after, device, 4, XPU_DEVICE_TO_HOST, stream), 0);
  EXPECT_EQ(before, -1);
  ASSERT_EQ(xpu_wait(stream), 0);
  EXPECT_EQ(before, 0);
  EXPECT_EQ(after, 4);
}

TEST_F(KunlunXre, streams_do_not_wait_for_each_other) {
  int* device = device_array(std::vector<int>{0});
  const XPUStream stream = make_stream();
  ASSERT_EQ(launch_store(device, 1, stream), 0);
  ASSERT_EQ(xpu_wait(), 0);  // the default stream is no barrier
  EXPECT_EQ(peek(device), 0);
}

TEST_F(KunlunXre, stream_waits_for_an_event) {
  int* device = device_array(std::vector<int>{0});
  const XPUStream first = make_stream(), second = make_stream();
  const XPUEvent event = make_event();
  ASSERT_EQ(launch_store(device, 1, first), 0);
  ASSERT_EQ(xpu_event_record(event, first), 0);
  ASSERT_EQ(launch_store(device + 0, 2, first), 0);  // behind the event: not waited for
  ASSERT_EQ(xpu_stream_wait_event(second, event), 0);
  int seen = -1;
  ASSERT_EQ(xpu_memcpy_async(&seen, device, 4, XPU_DEVICE_TO_HOST, second), 0);
  EXPECT_EQ(seen, -1);
  ASSERT_EQ(xpu_wait(second), 0);
  EXPECT_EQ(seen, 1);
}

TEST_F(KunlunXre, events_reach_across_devices) {
  start({{"XPUSIM_DEVICE_MODEL", "K200"}});
  int* device = device_array(std::vector<int>{0});
  const XPUEvent event = make_event();
  ASSERT_EQ(launch_store(device, 1, nullptr), -XPUERR_INVALID_PARAM);  // the first generation has 16 cores
  int seen = -1;
  const int value = 9;
  ASSERT_EQ(xpu_memcpy_async(device, &value, 4, XPU_HOST_TO_DEVICE, nullptr), 0);
  ASSERT_EQ(xpu_event_record(event), 0);
  ASSERT_EQ(xpu_set_device(1), 0);
  ASSERT_EQ(xpu_stream_wait_event(nullptr, event), 0);
  ASSERT_EQ(xpu_wait(), 0);
  ASSERT_EQ(xpu_set_device(0), 0);
  EXPECT_EQ(xpu_event_query(event), 0);
  ASSERT_EQ(xpu_memcpy_async(&seen, device, 4, XPU_DEVICE_TO_HOST, nullptr), 0);
  ASSERT_EQ(xpu_wait(), 0);
  EXPECT_EQ(seen, 9);
}

TEST_F(KunlunXre, event_wait_stops_at_the_record) {
  int* device = device_array(std::vector<int>{0});
  const XPUStream stream = make_stream();
  const XPUEvent event = make_event();
  EXPECT_EQ(xpu_event_wait(event), 0);  // never recorded
  ASSERT_EQ(launch_store(device, 1, stream), 0);
  ASSERT_EQ(xpu_event_record(event, stream), 0);
  ASSERT_EQ(launch_store(device, 2, stream), 0);
  ASSERT_EQ(xpu_event_wait(event), 0);
  EXPECT_EQ(peek(device), 1);
}

TEST_F(KunlunXre, a_new_record_forgets_the_old_one) {
  int* device = device_array(std::vector<int>{0});
  const XPUStream stream = make_stream();
  const XPUEvent event = make_event();
  ASSERT_EQ(xpu_event_record(event, stream), 0);
  ASSERT_EQ(launch_store(device, 1, stream), 0);
  ASSERT_EQ(xpu_event_record(event, stream), 0);
  ASSERT_EQ(xpu_event_wait(event), 0);
  EXPECT_EQ(peek(device), 1);
}

TEST_F(KunlunXre, queries_make_progress) {
  int* device = device_array(std::vector<int>{0});
  const XPUStream stream = make_stream();
  const XPUEvent event = make_event();
  for (int i = 0; i < 3; ++i) ASSERT_EQ(launch_store(device, i, stream), 0);
  ASSERT_EQ(xpu_event_record(event, stream), 0);
  int asked = 1;
  while (xpu_event_query(event) == -XPUERR_BUSY) ++asked;
  EXPECT_EQ(asked, 4);
  EXPECT_EQ(xpu_event_query(event), 0);
}

TEST_F(KunlunXre, long_queues_run_on) {
  int* device = device_array(std::vector<int>{0});
  const XPUStream stream = make_stream();
  for (int i = 0; i < 5000; ++i) ASSERT_EQ(launch_store(device, i, stream), 0);
  EXPECT_GT(peek(device), 0);
  ASSERT_EQ(xpu_wait(stream), 0);
  EXPECT_EQ(peek(device), 4999);
}

TEST_F(KunlunXre, destroying_a_stream_waits_for_it) {
  int* device = device_array(std::vector<int>{0});
  const XPUStream stream = make_stream();
  ASSERT_EQ(launch_store(device, 1, stream), 0);
  ASSERT_EQ(xpu_stream_destroy(stream), 0);
  EXPECT_EQ(peek(device), 1);
}

TEST_F(KunlunXre, handles_are_dead_after_their_end) {
  const XPUStream stream = make_stream();
  const XPUEvent event = make_event();
  ASSERT_EQ(xpu_stream_destroy(stream), 0);
  ASSERT_EQ(xpu_event_destroy(event), 0);
  EXPECT_EQ(xpu_wait(stream), -XPUERR_USEAFCLOSE);
  EXPECT_EQ(xpu_launch_config(1, 64, stream), -XPUERR_USEAFCLOSE);
  EXPECT_EQ(xpu_event_wait(event), -XPUERR_USEAFCLOSE);
  EXPECT_EQ(xpu_event_record(event), -XPUERR_USEAFCLOSE);
  EXPECT_EQ(xpu_event_destroy(event), -XPUERR_USEAFCLOSE);
  int number = 0;
  EXPECT_EQ(xpu_wait(&number), -XPUERR_INVALID_PARAM);  // never a stream
  EXPECT_EQ(xpu_event_wait(nullptr), -XPUERR_INVALID_PARAM);
}

TEST_F(KunlunXre, streams_of_another_device_are_refused) {
  start({{"XPUSIM_DEVICE_MODEL", "K200"}});
  const XPUStream stream = make_stream();
  ASSERT_EQ(xpu_set_device(1), 0);
  EXPECT_EQ(xpu_wait(stream), -XPUERR_INVALID_PARAM);
  EXPECT_EQ(xpu_launch_config(1, 16, stream), -XPUERR_INVALID_PARAM);
}

TEST_F(KunlunXre, threads_share_a_stream) {
  int* device = device_array(std::vector<int>(8));
  const XPUStream stream = make_stream();
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([=] {
      for (int round = 0; round < 20; ++round) EXPECT_EQ(launch_store(device + i, round + i, stream), 0);
      EXPECT_EQ(xpu_wait(stream), 0);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(host_array(device, 8), (std::vector<int>{19, 20, 21, 22, 23, 24, 25, 26}));
}

// ---- launches

TEST_F(KunlunXre, launches_are_checked) {
  EXPECT_EQ(xpu_launch_config(0, 64), -XPUERR_INVALID_PARAM);
  EXPECT_EQ(xpu_launch_config(256, 64), -XPUERR_INVALID_PARAM);
  EXPECT_EQ(xpu_launch_config(1, 63), -XPUERR_INVALID_PARAM);
  EXPECT_EQ(xpu_launch_config(255, 16), 0);
  const XPUFunc function = store_function();
  EXPECT_EQ(xpu_launch_async(function), -XPUERR_INVALID_PARAM);  // no arguments
  const StoreParameters parameters{};
  EXPECT_EQ(xpu_launch_argument_set(&parameters, 4, 0), -XPUERR_INVALID_PARAM);  // the configuration is used up
  ASSERT_EQ(xpu_launch_config(1, 64), 0);
  EXPECT_EQ(xpu_launch_argument_set(&parameters, 4, 2), -XPUERR_INVALID_PARAM);
  EXPECT_EQ(xpu_launch_argument_set(&parameters, 5000, 0), -XPUERR_INVALID_PARAM);
  EXPECT_EQ(xpu_launch_argument_set(&parameters, 8, 4), 0);
  EXPECT_EQ(xpu_launch_async(nullptr), -XPUERR_NOXPUFUNC);
  XPUFunc wrong = nullptr;
  EXPECT_EQ(xpu_create_cl_func(&wrong, 0, 0, 0, 0, 0), -XPUERR_INVALID_PARAM);
}

TEST_F(KunlunXre, third_generation_aligns_eight_bytes) {
  start({{"XPUSIM_DEVICE_MODEL", "P800"}});
  const double value = 0;
  ASSERT_EQ(xpu_launch_config(12, 64), 0);
  EXPECT_EQ(xpu_launch_argument_set(&value, 8, 4), -XPUERR_INVALID_PARAM);
  EXPECT_EQ(xpu_launch_argument_set(&value, 8, 8), 0);
}

// ---- failures

TEST_F(KunlunXre, failed_kernels_are_sticky_until_reset) {
  int* device = device_array(std::vector<int>{0, 0});
  const XPUStream stream = make_stream();
  ASSERT_EQ(launch_store(device + 2, 1, stream), 0);  // out of bounds; nobody knows yet
  ASSERT_EQ(launch_store(device, 1, stream), 0);
  EXPECT_EQ(xpu_wait(stream), -XPUERR_KEXCEPTION);
  EXPECT_STREQ(xpusim_fault_text(0), "store: out of bounds");
  EXPECT_EQ(xpu_wait(stream), -XPUERR_ABNORMAL);
  EXPECT_EQ(xpu_wait(), -XPUERR_ABNORMAL);
  EXPECT_EQ(launch_store(device, 1), -XPUERR_ABNORMAL);
  EXPECT_EQ(xpu_memcpy_async(device, device + 1, 4, XPU_DEVICE_TO_DEVICE, stream), -XPUERR_ABNORMAL);
  int value = 0;
  EXPECT_EQ(xpu_memcpy(&value, device, 4, XPU_DEVICE_TO_HOST), -XPUERR_ABNORMAL);  // waits for the default stream
  ASSERT_EQ(xpusim_device_reset(0), 0);
  EXPECT_EQ(xpu_wait(stream), 0);
  EXPECT_NE(peek(device), 1);  // the second kernel never ran
  ASSERT_EQ(launch_store(device, 2, stream), 0);
  EXPECT_EQ(xpu_wait(stream), 0);
  EXPECT_EQ(peek(device), 2);
}

TEST_F(KunlunXre, which_failures_are_sticky) {
  const std::vector<int> all{XPUERR_NOMEM, XPUERR_KEXCEPTION, XPUERR_TIMEOUT,
                             XPUERR_UCECC, XPUERR_DMATIMEOUT, XPUERR_DMAABORT};
  for (const int code : all) {
    const bool sticky = code == XPUERR_KEXCEPTION || code == XPUERR_TIMEOUT || code == XPUERR_DMATIMEOUT;
    start({});
    int* device = device_array(std::vector<int>{0});
    ASSERT_EQ(xpusim_fail_next(0, code), 0);
    ASSERT_EQ(launch_store(device, 1), 0);
    EXPECT_EQ(xpu_wait(), -code);
    EXPECT_EQ(xpu_wait(), sticky ? -XPUERR_ABNORMAL : 0) << code;
  }
}

TEST_F(KunlunXre, blocking_copies_report_their_own_failure) {
  int* device = device_array(std::vector<int>{0});
  const int value = 1;
  ASSERT_EQ(xpusim_fail_next(0, XPUERR_DMATIMEOUT), 0);
  EXPECT_EQ(xpu_memcpy(device, &value, 4, XPU_HOST_TO_DEVICE), -XPUERR_DMATIMEOUT);
  EXPECT_EQ(xpu_wait(), -XPUERR_ABNORMAL);
}

TEST_F(KunlunXre, events_of_a_failed_device_happen_and_say_so) {
  int* device = device_array(std::vector<int>{0});
  const XPUEvent event = make_event();
  ASSERT_EQ(launch_store(device + 1, 1), 0);
  ASSERT_EQ(xpu_event_record(event), 0);
  EXPECT_EQ(xpu_event_wait(event), -XPUERR_KEXCEPTION);
  EXPECT_EQ(xpu_event_wait(event), -XPUERR_ABNORMAL);
}

TEST_F(KunlunXre, other_devices_go_on) {
  start({{"XPUSIM_DEVICE_MODEL", "R480-X8"}});
  int* device = device_array(std::vector<int>{0});
  ASSERT_EQ(launch_store(device + 1, 1), 0);
  EXPECT_EQ(xpu_wait(), -XPUERR_KEXCEPTION);
  ASSERT_EQ(xpu_set_device(1), 0);
  int* other = device_array(std::vector<int>{0});
  ASSERT_EQ(launch_store(other, 4), 0);
  EXPECT_EQ(peek(other), 4);
}

TEST_F(KunlunXre, memory_freed_too_early_fails_the_copy) {
  int* device = device_array(std::vector<int>{0});
  int value = 0;
  ASSERT_EQ(xpu_memcpy_async(&value, device, 4, XPU_DEVICE_TO_HOST, nullptr), 0);
  ASSERT_EQ(xpu_free(device), 0);
  EXPECT_EQ(xpu_wait(), -XPUERR_DMAABORT);
  EXPECT_EQ(xpu_wait(), 0);  // said once
}

TEST_F(KunlunXre, codes_have_words) {
  EXPECT_STREQ(xpu_strerror(0), "success");
  EXPECT_STREQ(xpu_strerror(-XPUERR_NOMEM), xpu_strerror(XPUERR_NOMEM));
  EXPECT_STREQ(xpu_strerror(-EINVAL), strerror(EINVAL));
  EXPECT_STREQ(xpu_strerror(9999), "unknown error");
  for (int code = XPUERR_INVALID_DEVICE; code <= XPUERR_OVERHEAT; ++code) {
    EXPECT_STRNE(xpu_strerror(code), "unknown error") << code;
  }
  for (int code = XPUERR_UNEXPECT; code <= XPUERR_TRACER; ++code) {
    EXPECT_STRNE(xpu_strerror(code), "unknown error") << code;
  }
}

// ---- time

TEST_F(KunlunXre, kernels_take_their_time) {
  int* device = device_array(std::vector<int>{0});
  const XPUStream stream = make_stream();
  const XPUEvent before = make_event(), after = make_event();
  const double launch = xpu::default_costs().launch, event = xpu::default_costs().event;
  ASSERT_EQ(xpu_event_record(before, stream), 0);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(launch_store(device, i, stream, 8), 0);
  ASSERT_EQ(xpu_event_record(after, stream), 0);
  const uint64_t issued = now_ns();
  uint64_t begin = 0, end = 0, kernel = 0;
  EXPECT_EQ(xpusim_event_time(after, &end), -XPUERR_BUSY);
  ASSERT_EQ(xpu_wait(stream), 0);
  ASSERT_EQ(xpusim_event_time(before, &begin), 0);
  ASSERT_EQ(xpusim_event_time(after, &end), 0);
  ASSERT_EQ(xpu_last_kernel_exec_time(&kernel), 0);
  EXPECT_EQ(kernel, 8000u);
  // The first launch is issued a call after the record; from then on the device is the slower one.
  EXPECT_NEAR(static_cast<double>(end - begin), 100 * (launch + 8000) + event, 2 * launch);
  EXPECT_GT(end, issued);
  EXPECT_EQ(now_ns(), end);  // the wait took the host there
}

TEST_F(KunlunXre, streams_run_side_by_side) {
  int* device = device_array(std::vector<int>{0});
  const XPUStream first = make_stream(), second = make_stream();
  const auto time_of = [&](const std::vector<XPUStream>& streams, int clusters) {
    const uint64_t begin = now_ns();
    for (const XPUStream stream : streams) EXPECT_EQ(launch_store(device, 1, stream, clusters), 0);
    for (const XPUStream stream : streams) EXPECT_EQ(xpu_wait(stream), 0);
    return static_cast<double>(now_ns() - begin);
  };
  // Half of the eight clusters each: they do not meet. 200 in rounds of eight each: they share what there is.
  EXPECT_LT(time_of({first, second}, 4), 1.25 * time_of({first}, 4));
  EXPECT_GT(time_of({first, second}, 200), 1.8 * time_of({first}, 200));
  const XPUEvent event = make_event();
  const uint64_t again = now_ns();
  ASSERT_EQ(launch_store(device, 1, first, 200), 0);
  ASSERT_EQ(xpu_event_record(event, first), 0);
  ASSERT_EQ(xpu_stream_wait_event(second, event), 0);
  ASSERT_EQ(launch_store(device, 1, second, 200), 0);
  ASSERT_EQ(xpu_wait(second), 0);
  EXPECT_GT(now_ns() - again, 400000u);
}

TEST_F(KunlunXre, copies_go_at_the_rate_of_the_link) {
  constexpr uint64_t kBytes = 24 << 20;
  void *device = nullptr, *pinned = nullptr;
  ASSERT_EQ(xpu_malloc(&device, kBytes), 0);
  ASSERT_EQ(xpu_host_alloc(&pinned, kBytes, 0), 0);
  std::memset(pinned, 0, kBytes);
  const std::vector<char> pageable(kBytes);
  const uint64_t begin = now_ns();
  ASSERT_EQ(xpu_memcpy(device, pinned, kBytes, XPU_HOST_TO_DEVICE), 0);
  const uint64_t middle = now_ns();
  ASSERT_EQ(xpu_memcpy(device, pageable.data(), kBytes, XPU_HOST_TO_DEVICE), 0);
  const uint64_t end = now_ns();
  const double setup = xpu::default_costs().copy_setup;
  EXPECT_NEAR(static_cast<double>(middle - begin), setup + kBytes / 24.0, 2);
  EXPECT_NEAR(static_cast<double>(end - middle), setup + kBytes / 12.0, 2);
  ASSERT_EQ(xpu_host_free(pinned), 0);
}

TEST_F(KunlunXre, peers_are_faster_over_their_link) {
  std::map<std::string, uint64_t> times;
  for (const std::string model : {"K200", "R480-X8"}) {
    start({{"XPUSIM_DEVICE_MODEL", model}});
    void *first = nullptr, *second = nullptr;
    ASSERT_EQ(xpu_malloc(&first, 8 << 20), 0);
    ASSERT_EQ(xpu_set_device(1), 0);
    ASSERT_EQ(xpu_malloc(&second, 8 << 20), 0);
    const uint64_t begin = now_ns();
    ASSERT_EQ(xpu_memcpy_peer(1, second, 0, first, 8 << 20), 0);
    times[model] = now_ns() - begin;
  }
  EXPECT_GT(times["K200"], 5 * times["R480-X8"]);
}

TEST_F(KunlunXre, clocks_belong_to_threads) {
  int* device = device_array(std::vector<int>{0});
  ASSERT_EQ(launch_store(device, 1, nullptr, 255), 0);
  ASSERT_EQ(xpu_wait(), 0);
  EXPECT_GT(now_ns(), 255000u);
  std::thread([] { EXPECT_EQ(now_ns(), 0u); }).join();
}

// ---- the table of generations

TEST_F(KunlunXre, generations_keep_the_published_ratios) {
  for (const xpu::Generation& generation : xpu::generations()) {
    const double whole = generation.int8_tops / generation.fp32_tops;
    EXPECT_NEAR(whole, generation.architecture == 1 ? 16 : 8, 0.25) << generation.name;
    EXPECT_EQ(generation.int8_tops / generation.fp16_tops, generation.architecture == 1 ? 4 : 2) << generation.name;
    EXPECT_GE(generation.l3_gbps, generation.memory_gbps) << generation.name;
    EXPECT_EQ(generation.devices % generation.boards, 0) << generation.name;
    EXPECT_EQ(xpu::find_generation(generation.name), &generation);
  }
  EXPECT_EQ(xpu::find_generation("R200")->fp16_tops.origin, xpu::Origin::kPublished);
  EXPECT_EQ(xpu::find_generation("P800")->fp16_tops.origin, xpu::Origin::kAssumed);
}

}  // namespace
}  // namespace trireme::testing
