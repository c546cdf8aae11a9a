// The kernel language of the virtual Kunlun device: two kernels, every check, the time.
//
// ctest: links=trireme_kunlun_virtual
#include "xpu/kernel/xtdk.h"

#include <numeric>
#include <random>

#include "chips/kunlun/virtual/generation.h"
#include "kunlun.h"
#include "xpu/kernel/xtdk_simd.h"

namespace trireme::testing {
namespace {

using ::testing::HasSubstr;
using KunlunXtdk = KunlunTest;

constexpr int kChunk = 256;

// z = x + y, a chunk at a time, with vectors; the last chunk is masked.
__global__ void vector_add(const float* x, const float* y, float* z, int count) {
  XTDK_LOCAL(float, a, kChunk);
  XTDK_LOCAL(float, b, kChunk);
  const int thread = core_num() * cluster_id() + core_id(), threads = core_num() * cluster_num();
  for (int begin = thread * kChunk; begin < count; begin += threads * kChunk) {
    const int n = min(kChunk, count - begin);
    GM2LM_ASYNC(x + begin, a, n * sizeof(float));
    GM2LM_ASYNC(y + begin, b, n * sizeof(float));
    mfence();
    for (int i = 0; i < n; i += 16) {
      const uint32_t mask = n - i >= 16 ? 0xffff : (1u << (n - i)) - 1;
      const float32x16_t left = vload_lm_float32x16_mz(a + i, mask), right = vload_lm_float32x16_mz(b + i, mask);
      vstore_lm_float32x16_mh(a + i, vvadd_float32x16(left, right), mask);
    }
    LM2GM(a, z + begin, n * sizeof(float));
  }
}

// sums[row] of a matrix: a row for each cluster, its cores share the columns and meet in SM.
__global__ void row_sum(const float* x, float* sums, int rows, int columns) {
  XTDK_LOCAL(float, buffer, kChunk);
  XTDK_SHARED(float, partial, 64);
  for (int row = cluster_id(); row < rows; row += cluster_num()) {
    float sum = 0;
    for (int begin = core_id() * kChunk; begin < columns; begin += core_num() * kChunk) {
      const int n = min(kChunk, columns - begin);
      GM2LM(x + static_cast<int64_t>(row) * columns + begin, buffer, n * sizeof(float));
      for (int i = 0; i < n; ++i) sum += buffer[i];
    }
    partial[core_id()] = sum;
    sync_cluster();
    for (int half = core_num() / 2; half > 0; half /= 2) {
      if (core_id() < half) partial[core_id()] += partial[core_id() + half];
      sync_cluster();
    }
    if (core_id() == 0) {
      buffer[0] = partial[0];
      LM2GM(buffer, sums + row, sizeof(float));
    }
    sync_cluster();  // before the next row
  }
}

// What the device says after a kernel, and its words.
std::string fault_of(int launched) {
  EXPECT_EQ(launched, 0);
  EXPECT_EQ(xpu_wait(), -XPUERR_KEXCEPTION);
  const std::string text = xpusim_fault_text(0);
  EXPECT_EQ(xpu_wait(), -XPUERR_ABNORMAL);
  EXPECT_EQ(xpusim_device_reset(0), 0);
  return text;
}

uint64_t last_kernel_ns() {
  EXPECT_EQ(xpu_wait(), 0) << xpusim_fault_text(0);
  uint64_t ns = 0;
  EXPECT_EQ(xpu_last_kernel_exec_time(&ns), 0);
  return ns;
}

TEST_F(KunlunXtdk, vectors_are_added) {
  for (const int count : {1, 15, 16, 17, 1000, 20000}) {
    std::vector<float> x(count), y(count), expected(count);
    for (int i = 0; i < count; ++i) {
      x[i] = static_cast<float>(i) / 3;
      y[i] = static_cast<float>(count - i);
      expected[i] = x[i] + y[i];
    }
    const float *device_x = device_array(x), *device_y = device_array(y);
    float* z = device_array(std::vector<float>(count));
    for (const int clusters : {1, 3, 8}) {
      ASSERT_EQ(XTDK_LAUNCH(vector_add, clusters, 64, nullptr)(device_x, device_y, z, count), 0);
      EXPECT_EQ(host_array(z, count), expected) << count << " over " << clusters << " " << xpusim_fault_text(0);
    }
  }
}

TEST_F(KunlunXtdk, rows_are_summed) {
  std::mt19937 random(7);
  for (const int cores : {16, 64}) {
    for (const int columns : {1, 64, 300, 40000}) {
      constexpr int kRows = 5;
      std::vector<float> x(kRows * columns), expected(kRows, 0.0f);
      for (int i = 0; i < kRows * columns; ++i) {
        x[i] = static_cast<float>(static_cast<int>(random() % 9) - 4);  // sums of small integers are exact
        expected[i / columns] += x[i];
      }
      float* sums = device_array(std::vector<float>(kRows));
      ASSERT_EQ(XTDK_LAUNCH(row_sum, 2, cores, nullptr)(device_array(x), sums, kRows, columns), 0);
      EXPECT_EQ(host_array(sums, kRows), expected) << columns << " " << xpusim_fault_text(0);
    }
  }
}

TEST_F(KunlunXtdk, launches_are_asynchronous) {
  float* z = device_array(std::vector<float>{0});
  const float* x = device_array(std::vector<float>{2});
  XPUStream stream = nullptr;
  ASSERT_EQ(xpu_stream_create(&stream), 0);
  ASSERT_EQ(XTDK_LAUNCH(vector_add, 1, 64, stream)(x, x, z, 1), 0);
  EXPECT_EQ(host_array(z, 1)[0], 0);
  ASSERT_EQ(xpu_wait(stream), 0);
  EXPECT_EQ(host_array(z, 1)[0], 4);
}

TEST_F(KunlunXtdk, launch_shapes_are_checked) {
  float* z = device_array(std::vector<float>{0});
  EXPECT_EQ(XTDK_LAUNCH(vector_add, 256, 64, nullptr)(z, z, z, 1), -XPUERR_INVALID_PARAM);
  EXPECT_EQ(XTDK_LAUNCH(vector_add, 1, 65, nullptr)(z, z, z, 1), -XPUERR_INVALID_PARAM);
  start({{"XPUSIM_DEVICE_MODEL", "K100"}});
  EXPECT_EQ(XTDK_LAUNCH(vector_add, 1, 64, nullptr)(z, z, z, 1), -XPUERR_INVALID_PARAM);
}

__global__ void who(int* answers) {
  XTDK_LOCAL(int, answer, 4);
  answer[0] = cluster_id();
  answer[1] = core_id();
  answer[2] = cluster_num() * 1000 + core_num();
  answer[3] = physical_cluster_id();
  LM2GM(answer, answers + 4 * (cluster_id() * core_num() + core_id()), 16);
}

TEST_F(KunlunXtdk, cores_know_who_they_are) {
  int* answers = device_array(std::vector<int>(4 * 160));
  ASSERT_EQ(XTDK_LAUNCH(who, 10, 16, nullptr)(answers), 0);
  const std::vector<int> found = host_array(answers, 4 * 160);
  for (int i = 0; i < 160; ++i) {
    EXPECT_EQ(std::vector<int>(&found[4 * i], &found[4 * i] + 4),
              (std::vector<int>{i / 16, i % 16, 10016, i / 16 % 8}));
  }
}

__global__ void mixed(int8_t a, double b, int16_t c, const float* d, float e, double* out) {
  if (core_id() != 0) return;
  XTDK_LOCAL(double, value, 1);
  XTDK_LOCAL(float, loaded, 1);
  GM2LM(d, loaded, 4);
  value[0] = a + b + c + loaded[0] + e;
  LM2GM(value, out, 8);
}

TEST_F(KunlunXtdk, parameters_of_all_sizes_arrive) {
  for (const char* model : {"R200", "P800"}) {
    start({{"XPUSIM_DEVICE_MODEL", model}});
    double* out = device_array(std::vector<double>{0});
    const float* d = device_array(std::vector<float>{1000});
    ASSERT_EQ(XTDK_LAUNCH(mixed, 1, 64, nullptr)(-1, 0.5, 20, d, 0.25f, out), 0);
    EXPECT_EQ(host_array(out, 1)[0], 1019.75) << xpusim_fault_text(0);
  }
}

// ---- every check fires

__global__ void local_overflow() {
  XTDK_LOCAL(float, first, 1024);
  XTDK_LOCAL(float, second, 1025);
  first[0] = second.at();
}
__global__ void local_reuse(int* out) {  // arrays of a scope give their room back
  for (int i = 0; i < 10; ++i) {
    XTDK_LOCAL(int, all, 2048);
    all[0] = i;
    LM2GM(all, out, 4);
  }
}
__global__ void shared_overflow() {
  XTDK_SHARED(float, all, 64 * 1024 + 1);
  all[0] = 1;
}
__global__ void unwritten_local(float* out) {
  XTDK_LOCAL(float, array, 16);
  array[0] = 1;
  LM2GM(array, out, 8);
}
__global__ void unwritten_shared(float* out) {
  XTDK_SHARED(float, array, 16);
  if (core_id() == 0) LM2GM(array, out, 4);
}

TEST_F(KunlunXtdk, memories_have_their_size) {
  int* out = device_array(std::vector<int>(4));
  EXPECT_THAT(fault_of(XTDK_LAUNCH(local_overflow, 1, 64, nullptr)()),
              HasSubstr("core 0 of cluster 0: an array of 4100 bytes does not fit into LM: 4096 of 8192"));
  EXPECT_THAT(fault_of(XTDK_LAUNCH(shared_overflow, 1, 64, nullptr)()), HasSubstr("does not fit into SM"));
  ASSERT_EQ(XTDK_LAUNCH(local_reuse, 1, 16, nullptr)(out), 0);
  EXPECT_EQ(host_array(out, 1)[0], 9);
}

TEST_F(KunlunXtdk, unwritten_memory_is_not_read) {
  float* out = device_array(std::vector<float>(4));
  EXPECT_THAT(fault_of(XTDK_LAUNCH(unwritten_local, 1, 64, nullptr)(out)),
              HasSubstr("reads LM that was never written"));
  EXPECT_THAT(fault_of(XTDK_LAUNCH(unwritten_shared, 1, 64, nullptr)(out)),
              HasSubstr("reads SM that was never written"));
}

__global__ void index(int at) {
  XTDK_LOCAL(int, array, 16);
  array[at] = 1;
}
__global__ void read_gm(const float* from, int bytes) {
  XTDK_LOCAL(float, array, 64);
  GM2LM(from, array, bytes);
}
__global__ void write_gm(float* to) {
  XTDK_LOCAL(float, array, 4);
  for (int i = 0; i < 4; ++i) array[i] = 1;
  LM2GM(array, to, 16);
}

TEST_F(KunlunXtdk, bounds_are_kept) {
  float* device = device_array(std::vector<float>(8));
  for (const int at : {-1, 16, 1 << 20}) {
    EXPECT_THAT(fault_of(XTDK_LAUNCH(index, 1, 64, nullptr)(at)), HasSubstr("of an array of 64 bytes in LM"));
  }
  ASSERT_EQ(XTDK_LAUNCH(index, 1, 64, nullptr)(15), 0);
  ASSERT_EQ(XTDK_LAUNCH(read_gm, 1, 64, nullptr)(device, 32), 0);
  ASSERT_EQ(xpu_wait(), 0);
  EXPECT_THAT(fault_of(XTDK_LAUNCH(read_gm, 1, 64, nullptr)(device, 33)), HasSubstr("33 bytes from GM"));
  EXPECT_THAT(fault_of(XTDK_LAUNCH(write_gm, 1, 64, nullptr)(device + 5)), HasSubstr("16 bytes to GM"));
  EXPECT_THAT(fault_of(XTDK_LAUNCH(write_gm, 1, 64, nullptr)(nullptr)), HasSubstr("to GM"));
  const float host[4] = {};
  EXPECT_THAT(fault_of(XTDK_LAUNCH(read_gm, 1, 64, nullptr)(host, 4)), HasSubstr("from GM"));
}

__global__ void read_before_fence(const float* from) {
  XTDK_LOCAL(float, array, 4);
  GM2LM_ASYNC(from, array, 16);
  array[0] += 1;
  mfence();
}
__global__ void write_before_fence(float* to) {
  XTDK_LOCAL(float, array, 1);
  array[0] = 1;
  LM2GM_ASYNC(array, to, 4);
  array[0] = 2;
  mfence();
}
__global__ void no_fence(float* to) {
  XTDK_SHARED(float, array, 1);
  if (core_id() != 0) return;
  array[0] = 1;
  SM2GM_ASYNC(array, to, 4);
}
__global__ void scope_before_fence(const float* from) {
  {
    XTDK_LOCAL(float, array, 4);
    GM2LM_ASYNC(from, array, 16);
  }
  mfence();
}
__global__ void fenced(float* data) {
  XTDK_LOCAL(float, array, 4);
  GM2LM_ASYNC(data, array, 16);
  mfence();
  array[0] += 1;
  LM2GM_ASYNC(array, data + 4, 16);
  mfence();
  array[0] = 7;
}

TEST_F(KunlunXtdk, asynchronous_copies_need_a_fence) {
  float* device = device_array(std::vector<float>(8));
  EXPECT_THAT(fault_of(XTDK_LAUNCH(read_before_fence, 1, 64, nullptr)(device)), HasSubstr("an mfence is missing"));
  EXPECT_THAT(fault_of(XTDK_LAUNCH(write_before_fence, 1, 64, nullptr)(device)), HasSubstr("an mfence is missing"));
  EXPECT_THAT(fault_of(XTDK_LAUNCH(no_fence, 1, 64, nullptr)(device)), HasSubstr("no mfence has waited for"));
  EXPECT_THAT(fault_of(XTDK_LAUNCH(scope_before_fence, 1, 64, nullptr)(device)), HasSubstr("an mfence is missing"));
  ASSERT_EQ(XTDK_LAUNCH(fenced, 1, 16, nullptr)(device), 0);
  EXPECT_EQ(xpu_wait(), 0) << xpusim_fault_text(0);
}

// Core `writer` writes a float of SM, then, behind a barrier or not, core `reader` reads it.
enum Barrier : int { kNone, kOfGroup, kOfCluster };
__global__ void hand_over(int writer, int reader, int barrier) {
  XTDK_SHARED(float, value, 2);
  if (core_id() == writer) value[1] = 1;
  if (barrier == kOfGroup) sync_local();
  if (barrier == kOfCluster) sync_cluster();
  if (core_id() == reader) value[1] += 1;
}
__global__ void both_write() {
  XTDK_SHARED(float, value, 1);
  value[0] = 1;
}
__global__ void read_then_write(int other_group) {
  XTDK_SHARED(int, value, 1);
  if (core_id() == 0) value[0] = 1;
  sync_cluster();
  if (core_id() == 1) value[0] += 0 * value[0];
  sync_local();
  if (core_id() == (other_group ? 4 : 2)) value[0] = 2;
}
__global__ void neighbours() {  // each byte has one writer
  XTDK_SHARED(int8_t, bytes, 64);
  bytes[core_id()] = 1;
  sync_cluster();
  bytes[63 - core_id()] += 1;
}

TEST_F(KunlunXtdk, cores_do_not_race_for_shared_memory) {
  EXPECT_THAT(fault_of(XTDK_LAUNCH(both_write, 1, 64, nullptr)()),
              HasSubstr("core 1 of cluster 0: writes byte 0 of SM, which core 0 wrote since the last barrier"));
  EXPECT_THAT(fault_of(XTDK_LAUNCH(hand_over, 1, 64, nullptr)(0, 1, kNone)), HasSubstr("core 0 wrote"));
  EXPECT_THAT(fault_of(XTDK_LAUNCH(hand_over, 1, 64, nullptr)(0, 4, kOfGroup)), HasSubstr("core 0 wrote"));
  EXPECT_THAT(fault_of(XTDK_LAUNCH(read_then_write, 1, 64, nullptr)(1)), HasSubstr("core 1"));
  ASSERT_EQ(XTDK_LAUNCH(hand_over, 2, 64, nullptr)(0, 1, kOfGroup), 0);
  ASSERT_EQ(XTDK_LAUNCH(hand_over, 2, 64, nullptr)(0, 63, kOfCluster), 0);
  ASSERT_EQ(XTDK_LAUNCH(hand_over, 2, 64, nullptr)(5, 5, kNone), 0);
  ASSERT_EQ(XTDK_LAUNCH(read_then_write, 2, 64, nullptr)(0), 0);
  ASSERT_EQ(XTDK_LAUNCH(neighbours, 2, 64, nullptr)(), 0);
  EXPECT_EQ(xpu_wait(), 0) << xpusim_fault_text(0);
}

__global__ void some_wait(int group) {
  XTDK_LOCAL(int, held, 4);
  held[0] = 1;
  if (core_id() == 3) return;
  if (group) sync_local();
  if (!group) sync_cluster();
}
__global__ void two_places() {
  if (core_id() < 8) {
    sync_cluster();
  } else {
    sync_cluster();
  }
}
__global__ void two_kinds() {
  if (core_id() < 6) sync_local();
  sync_cluster();
}

TEST_F(KunlunXtdk, barriers_do_not_diverge) {
  EXPECT_THAT(fault_of(XTDK_LAUNCH(some_wait, 1, 64, nullptr)(0)), HasSubstr("which not all cores reach"));
  EXPECT_THAT(fault_of(XTDK_LAUNCH(some_wait, 1, 64, nullptr)(1)), HasSubstr("which not all cores reach"));
  EXPECT_THAT(fault_of(XTDK_LAUNCH(two_places, 1, 64, nullptr)()), HasSubstr("divergent barrier"));
  EXPECT_THAT(fault_of(XTDK_LAUNCH(two_kinds, 1, 64, nullptr)()), HasSubstr("not all cores reach"));
}

__global__ void move_first(const float* from, int bytes, int through_shared) {
  XTDK_LOCAL(float, local, 64);
  XTDK_SHARED(float, shared, 64);
  if (core_id() != 0) return;
  GM2LM(from, local, bytes);
  if (through_shared) {
    LM2SM(local, shared, bytes);
    SM2LM(shared, local, bytes);
  }
}
__global__ void touch_shared() {
  XTDK_SHARED(float, shared, 64);
  if (core_id() == 0) shared[0] = 1;
}
__global__ void use_vectors() {
  XTDK_LOCAL(float, local, 16);
  vstore_lm_float32x16(local, float32x16_t{});
}

TEST_F(KunlunXtdk, first_generation_has_its_own_rules) {
  const std::vector<float> values(64, 1.0f);
  const float* device = device_array(values);
  EXPECT_THAT(fault_of(XTDK_LAUNCH(move_first, 1, 64, nullptr)(device, 64, 1)),
              HasSubstr("only the first generation has"));
  ASSERT_EQ(XTDK_LAUNCH(move_first, 1, 64, nullptr)(device + 1, 52, 0), 0);  // later ones copy any bytes
  ASSERT_EQ(XTDK_LAUNCH(touch_shared, 1, 64, nullptr)(), 0);
  ASSERT_EQ(xpu_wait(), 0);
  start({{"XPUSIM_DEVICE_MODEL", "K100"}});
  device = device_array(values);
  ASSERT_EQ(XTDK_LAUNCH(move_first, 1, 16, nullptr)(device + 8, 64, 1), 0);
  ASSERT_EQ(xpu_wait(), 0) << xpusim_fault_text(0);
  EXPECT_THAT(fault_of(XTDK_LAUNCH(move_first, 1, 16, nullptr)(device + 1, 32, 0)), HasSubstr("multiples of 32"));
  EXPECT_THAT(fault_of(XTDK_LAUNCH(move_first, 1, 16, nullptr)(device, 20, 0)), HasSubstr("multiples of 32"));
  EXPECT_THAT(fault_of(XTDK_LAUNCH(touch_shared, 1, 16, nullptr)()), HasSubstr("by copies to LM only"));
  EXPECT_THAT(fault_of(XTDK_LAUNCH(use_vectors, 1, 16, nullptr)()), HasSubstr("512 bits"));
  EXPECT_THAT(fault_of(XTDK_LAUNCH(some_wait, 1, 16, nullptr)(1)), HasSubstr("sync_local"));
}

// ---- SIMD

__global__ void lanes(const float* x, float* out) {
  if (core_id() != 0) return;
  XTDK_LOCAL(float, a, 16);
  XTDK_LOCAL(float, b, 16 * 8);
  GM2LM(x, a, 64);
  const float32x16_t v = vload_lm_float32x16(a), twos = svmul_float32x16(2, v);
  vstore_lm_float32x16(b, twos);
  vstore_lm_float32x16(b + 16, vvmax_float32x16(v, svsub_float32x16(1, v)));
  vstore_lm_float32x16(b + 32, vload_lm_float32x16_mz(a, 0x8001));
  vstore_lm_float32x16(b + 48, vload_lm_float32x16_mh(a, twos, 0x8001));
  vstore_lm_float32x16(b + 64, twos);
  vstore_lm_float32x16_mh(b + 64, v, 0x0002);
  vstore_lm_float32x16(b + 80, vexp_float32x16(vlog_float32x16(v)));
  vstore_lm_float32x16(b + 96, vsqrt_float32x16(vvmul_float32x16(v, v)));
  vstore_lm_float32x16(b + 112, vabs_float32x16(vvmin_float32x16(v, svsub_float32x16(0, v))));
  LM2GM(b, out, 16 * 8 * 4);
}

TEST_F(KunlunXtdk, lanes_do_what_their_names_say) {
  std::vector<float> x(16);
  std::iota(x.begin(), x.end(), 1.0f);
  float* out = device_array(std::vector<float>(128));
  ASSERT_EQ(XTDK_LAUNCH(lanes, 1, 64, nullptr)(device_array(x), out), 0);
  const std::vector<float> found = host_array(out, 128);
  for (int i = 0; i < 16; ++i) {
    const bool ends = i == 0 || i == 15;
    EXPECT_EQ(found[i], 2 * x[i]);
    EXPECT_EQ(found[16 + i], x[i]);
    EXPECT_EQ(found[32 + i], ends ? x[i] : 0);
    EXPECT_EQ(found[48 + i], ends ? x[i] : 2 * x[i]);
    EXPECT_EQ(found[64 + i], i == 1 ? x[i] : 2 * x[i]);
    EXPECT_NEAR(found[80 + i], x[i], 1e-5);
    EXPECT_EQ(found[96 + i], x[i]);
    EXPECT_EQ(found[112 + i], x[i]);
  }
}

// ---- time

TEST_F(KunlunXtdk, large_sums_are_as_slow_as_memory) {
  constexpr int kCount = 1 << 18;
  const float* x = device_array(std::vector<float>(kCount, 1.0f));
  float* z = device_array(std::vector<float>(kCount));
  ASSERT_EQ(XTDK_LAUNCH(vector_add, 8, 64, nullptr)(x, x, z, kCount), 0);
  const double all = static_cast<double>(last_kernel_ns());
  EXPECT_NEAR(all, 3.0 * 4 * kCount / 512, 1);  // bytes over 512 GB/s
  ASSERT_EQ(XTDK_LAUNCH(vector_add, 1, 64, nullptr)(x, x, z, kCount / 8), 0);
  EXPECT_GT(static_cast<double>(last_kernel_ns()), all / 8);  // one cluster cannot use all of GM
}

TEST_F(KunlunXtdk, latency_is_a_knob) {
  std::vector<uint64_t> times;
  for (const char* cycles : {"0", "250", "1450"}) {
    start({{"XPUSIM_HBM_READ_LATENCY", cycles}});
    ASSERT_EQ(XTDK_LAUNCH(read_gm, 1, 64, nullptr)(device_array(std::vector<float>(8)), 32), 0);
    times.push_back(last_kernel_ns());
  }
  EXPECT_NEAR(static_cast<double>(times[2] - times[1]), 1000, 1);  // 1200 cycles at 1.2 GHz
  EXPECT_LT(times[0], times[1]);
}

TEST_F(KunlunXtdk, more_clusters_than_there_are_run_in_rounds) {
  const float* x = device_array(std::vector<float>(8));
  std::vector<uint64_t> times;
  for (const int clusters : {1, 8, 9, 24}) {
    ASSERT_EQ(XTDK_LAUNCH(read_gm, clusters, 64, nullptr)(x, 32), 0);
    times.push_back(last_kernel_ns());
  }
  EXPECT_EQ(times[1], times[0]);
  EXPECT_NEAR(static_cast<double>(times[2]), 2.0 * static_cast<double>(times[0]), 1);
  EXPECT_NEAR(static_cast<double>(times[3]), 3.0 * static_cast<double>(times[0]), 2);
}

}  // namespace
}  // namespace trireme::testing
