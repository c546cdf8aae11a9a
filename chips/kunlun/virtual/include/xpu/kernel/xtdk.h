// The kernel language of Kunlun (XTDK), as C++ of the host's compiler: a kernel is a function that every core of every
// cluster runs.
//
//   __global__ void twice(const float* x, float* y, int count) {    // pointers are GM: only copies reach it
//     XTDK_LOCAL(float, buffer, 256);                               // in LM, of this core
//     const int thread = core_num() * cluster_id() + core_id(), threads = core_num() * cluster_num();
//     for (int i = thread * 256; i < count; i += threads * 256) {
//       const int n = min(256, count - i);
//       GM2LM(x + i, buffer, n * sizeof(float));
//       for (int j = 0; j < n; ++j) buffer[j] = buffer[j] * 2;
//       LM2GM(buffer, y + i, n * sizeof(float));
//     }
//   }
//   int code = XTDK_LAUNCH(twice, 8, 64, stream)(x, y, count);
//
// The clusters run on the threads of the host, the cores of a cluster in turns from barrier to barrier; the virtual
// clock has them side by side. What a chip would answer with garbage is a fault here (XPUERR_KEXCEPTION;
// xpusim_fault_text has the words): LM or SM that does not fit or is read before it was written, indices outside of an
// array, copies outside of a block of GM, asynchronous copies that are used before an mfence, cores that touch the same
// byte of SM between two barriers, barriers that not all cores reach, copies that the first generation cannot align.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "../runtime.h"
#include "chips/kunlun/virtual/xre/kernel_code.h"

// NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier): the public names of the vendor's language

#define __global__
#define __device__

// Arrays of a core and of a cluster: what the vendor's compiler calls __local__ and __shared__. The type must be
// trivial, the count a constant.
#define XTDK_LOCAL(Type, name, count)                      \
  ::xtdk::LocalArray name##_array(sizeof(Type) * (count)); \
  const ::xtdk::Pointer<Type> name(name##_array.array, 0)
#define XTDK_SHARED(Type, name, count) \
  static const char name##_tag = 0;    \
  const ::xtdk::Pointer<Type> name(::xtdk::shared_array(&name##_tag, sizeof(Type) * (count)), 0)

// kernel<<<clusters, cores, stream>>> of the vendor's compiler. What it gives is called with the kernel's arguments and
// returns the code of the launch.
#define XTDK_LAUNCH(kernel, clusters, cores, stream) ::xtdk::Launcher<&(kernel)>(#kernel, clusters, cores, stream)

namespace xtdk {

struct Array {
  bool shared;
  uint32_t begin, bytes;  // in LM of the core, or in SM
};

Array allocate_local(size_t bytes);
void release_local(const Array& array);
Array shared_array(const void* tag, size_t bytes);
void load(const Array& array, int64_t at, void* to, size_t bytes);
void store(const Array& array, int64_t at, const void* from, size_t bytes);
enum class Direction { kIn, kOut };  // from GM, to GM
void copy(Direction direction, const void* gm, const Array& array, int64_t at, size_t bytes, bool async);
// Between LM and SM; only the first generation does this.
void copy(const Array& from, int64_t from_at, const Array& to, int64_t to_at, size_t bytes);
void vector_instruction();           // counts one
void barrier(bool group, int line);  // of the source

struct LocalArray {
  explicit LocalArray(size_t bytes) : array(allocate_local(bytes)) {}
  ~LocalArray() { release_local(array); }
  LocalArray(const LocalArray&) = delete;
  LocalArray& operator=(const LocalArray&) = delete;
  Array array;
};

// An element of LM or SM, read and written under the checks.
template <class T>
class Reference {
 public:
  Reference(const Array& array, int64_t at) : array_(array), at_(at) {}
  Reference(const Reference&) = default;
  operator T() const {  // NOLINT(google-explicit-constructor): reads as its value
    T value;
    load(array_, at_, &value, sizeof value);
    return value;
  }
  const Reference& operator=(T value) const {  // NOLINT(misc-unconventional-assign-operator): writes to the device
    store(array_, at_, &value, sizeof value);
    return *this;
  }
  const Reference& operator=(const Reference& other) const { return *this = static_cast<T>(other); }  // NOLINT
  const Reference& operator+=(T value) const { return *this = static_cast<T>(*this) + value; }
  const Reference& operator*=(T value) const { return *this = static_cast<T>(*this) * value; }

 private:
  Array array_;
  int64_t at_;
};

template <class T>
class Pointer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Pointer(const Array& array, int64_t at) : array_(array), at_(at) {}
  Reference<T> operator[](int64_t index) const { return {array_, at_ + index * static_cast<int64_t>(sizeof(T))}; }
  Reference<T> operator*() const { return (*this)[0]; }
  Pointer operator+(int64_t count) const { return {array_, at_ + count * static_cast<int64_t>(sizeof(T))}; }
  const Array& array() const { return array_; }
  int64_t at() const { return at_; }  // bytes from the array's begin

 private:
  Array array_;
  int64_t at_;
};

// Where parameters lie: each at a multiple of its size, of four bytes at least.
template <class... Parameters>
constexpr std::array<size_t, sizeof...(Parameters) + 1> parameter_offsets() {
  std::array<size_t, sizeof...(Parameters) + 1> offsets{};
  size_t end = 0, index = 0;
  [[maybe_unused]] const auto place = [&](size_t size, size_t alignment) {
    alignment = std::max<size_t>(alignment, 4);
    end = (end + alignment - 1) / alignment * alignment;
    offsets[index++] = end;
    end += (size + 3) / 4 * 4;
  };
  (place(sizeof(Parameters), alignof(Parameters)), ...);
  offsets[index] = end;
  return offsets;
}

// Runs `body` on every core; returns the time of the device in nanoseconds. Throws trireme::xpu::KernelFault.
double run_cores(const trireme::xpu::Launch& launch, const std::function<void()>& body);

template <auto kernel>
struct Launcher;

template <class... Parameters, void (*kernel)(Parameters...)>
struct Launcher<kernel> {
  Launcher(const char* name, int clusters, int cores, XPUStream stream)
      : name_(name), clusters_(clusters), cores_(cores), stream_(stream) {}

  int operator()(std::type_identity_t<Parameters>... arguments) const {
    static const trireme::xpu::KernelCode code = {.run = run, .context = nullptr};
    constexpr auto kOffsets = parameter_offsets<Parameters...>();
    XPUFunc function = nullptr;
    if (const int error = xpu_create_cl_func(&function, reinterpret_cast<uint64_t>(&code), sizeof code, 0,
                                             kOffsets.back() / 4, 0, name_)) {
      return error;
    }
    if (const int error = xpu_launch_config(clusters_, cores_, stream_)) return error;
    size_t index = 0;
    int error = 0;
    [[maybe_unused]] const auto set = [&](const auto& argument) {
      if (!error) error = xpu_launch_argument_set(&argument, sizeof argument, kOffsets[index]);
      ++index;
    };
    (set(arguments), ...);
    return error ? error : xpu_launch_async(function);
  }

 private:
  template <class T>
  static T parameter(const trireme::xpu::Launch& launch, size_t offset) {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    std::memcpy(&value, launch.parameters.data() + offset, sizeof value);
    return value;
  }
  template <size_t... indices>
  static double run(const trireme::xpu::Launch& launch, std::index_sequence<indices...>) {
    constexpr auto kOffsets = parameter_offsets<Parameters...>();
    return run_cores(launch, [&] { kernel(parameter<Parameters>(launch, kOffsets[indices])...); });
  }
  static double run(const trireme::xpu::Launch& launch, const void*) {
    return run(launch, std::index_sequence_for<Parameters...>{});
  }

  const char* name_;
  int clusters_, cores_;
  XPUStream stream_;
};

}  // namespace xtdk

// ---- who and where

int core_id();     // in its cluster
int core_num();    // of a cluster, as launched
int cluster_id();  // as launched
int cluster_num();
int physical_cluster_id();

using std::max;
using std::min;

// ---- copies, in bytes. An _ASYNC one is done after the core's next mfence; until then the array must be left alone.
// On the first generation addresses and sizes are multiples of 32.

template <class T>
void GM2LM(const void* gm, const xtdk::Pointer<T>& lm, size_t bytes) {
  xtdk::copy(xtdk::Direction::kIn, gm, lm.array(), lm.at(), bytes, false);
}
template <class T>
void GM2LM_ASYNC(const void* gm, const xtdk::Pointer<T>& lm, size_t bytes) {
  xtdk::copy(xtdk::Direction::kIn, gm, lm.array(), lm.at(), bytes, true);
}
template <class T>
void LM2GM(const xtdk::Pointer<T>& lm, const void* gm, size_t bytes) {
  xtdk::copy(xtdk::Direction::kOut, gm, lm.array(), lm.at(), bytes, false);
}
template <class T>
void LM2GM_ASYNC(const xtdk::Pointer<T>& lm, const void* gm, size_t bytes) {
  xtdk::copy(xtdk::Direction::kOut, gm, lm.array(), lm.at(), bytes, true);
}
template <class T>
void GM2SM(const void* gm, const xtdk::Pointer<T>& sm, size_t bytes) {
  GM2LM(gm, sm, bytes);
}
template <class T>
void GM2SM_ASYNC(const void* gm, const xtdk::Pointer<T>& sm, size_t bytes) {
  GM2LM_ASYNC(gm, sm, bytes);
}
template <class T>
void SM2GM(const xtdk::Pointer<T>& sm, const void* gm, size_t bytes) {
  LM2GM(sm, gm, bytes);
}
template <class T>
void SM2GM_ASYNC(const xtdk::Pointer<T>& sm, const void* gm, size_t bytes) {
  LM2GM_ASYNC(sm, gm, bytes);
}
template <class T>
void SM2LM(const xtdk::Pointer<T>& sm, const xtdk::Pointer<T>& lm, size_t bytes) {
  xtdk::copy(sm.array(), sm.at(), lm.array(), lm.at(), bytes);
}
template <class T>
void LM2SM(const xtdk::Pointer<T>& lm, const xtdk::Pointer<T>& sm, size_t bytes) {
  SM2LM(lm, sm, bytes);
}
// Waits for the core's asynchronous copies.
void mfence();

// ---- barriers

// Of all cores of the cluster, which must come to the same line. There is none over clusters.
inline void sync_cluster(int line = __builtin_LINE()) { xtdk::barrier(false, line); }
// Of a group of four cores; not on the first generation.
inline void sync_local(int line = __builtin_LINE()) { xtdk::barrier(true, line); }

// NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier)
