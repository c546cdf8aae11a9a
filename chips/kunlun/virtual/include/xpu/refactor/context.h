// The context of the operator library (XDNN): which device and stream its operators use, and their memory.
#ifndef TRIREME_XPU_REFACTOR_CONTEXT_H
#define TRIREME_XPU_REFACTOR_CONTEXT_H

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "../runtime.h"
#include "../xdnn_types.h"

namespace baidu::xpu::api {

// NOLINTBEGIN(readability-identifier-naming): the public names of the vendor's interface

class Device {
 public:
  Device(DeviceType type) : type_(type) {}  // NOLINT(google-explicit-constructor)
  DeviceType type() const { return type_; }

 private:
  DeviceType type_;
};

// Memory for intermediate values of operators, used as a stack: save() marks its height, restore() goes back to it.
// What is queued on the stream may still use what lies above; the next user comes later on the same stream.
class BufferMgr {
 public:
  BufferMgr() = default;
  ~BufferMgr();
  BufferMgr(const BufferMgr&) = delete;
  BufferMgr& operator=(const BufferMgr&) = delete;

  // Uses memory of the caller, who keeps it. Its size counts from then on as the whole of it.
  int set(void* pointer, size_t bytes);
  size_t get_size() const { return bytes_; }
  // 64-byte aligned. Null when nothing is left; GM then makes a block of its own, until that fails too.
  void* alloc(size_t bytes);
  void save();
  void restore(XPUStream stream);

  // Of a context: GM, of which the library makes `bytes` at the first alloc, and more blocks as it must.
  void own_gm(size_t bytes);

 private:
  struct Mark {
    size_t used, extra;
  };
  bool owned_ = false;
  std::byte* base_ = nullptr;
  size_t bytes_ = 0, used_ = 0;
  std::vector<void*> extra_;  // blocks beyond the first
  std::vector<Mark> marks_;
};

using GMAllocFunc = std::function<void*(size_t)>;
using GMFreeFunc = std::function<void()>;
using GMSaveFunc = std::function<void()>;

// One thread at a time may use a context. Operators are queued on xpu_stream and return at once; on a kCPU context they
// run at once, on memory of the host. An XPU context belongs to the device that was current when it was made: under
// another one its operators return INVALID_PARAM.
struct Context {
  // kCPU, or the type of the current device.
  explicit Context(Device device);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  Device dev() const { return dev_; }

  // How many clusters and SDNN units operators use: all of them at first. -1 when there are not so many.
  int ncluster() const { return ncluster_; }
  int set_ncluster(int count);
  int nsdnn() const { return nsdnn_; }
  int set_nsdnn(int count);
  // Floats of a max-pointer: 1 on kCPU, else the SDNN units of the generation (4, 6, 12).
  int max_ptr_size() const { return max_ptr_size_; }

  XPUStream get_stream() const { return xpu_stream; }
  void set_stream(XPUStream stream) { xpu_stream = stream; }

  // Names and values of the caller's own; null for a name that was not set. Returns 0.
  int set_option(const char* name, const char* value);
  const char* get_option(const char* name) const;
  // From 1 on, every operator prints its name, what it returned and its modelled time. XPUAPI_DEBUG sets it at first.
  int set_debug_level(int level);
  int debug_level() const { return debug_level_; }

  // GM of ctx_guard comes from `alloc`; `save` runs at the begin of a guard, `free` at its end.
  void set_overload_alloc(GMAllocFunc alloc, GMFreeFunc free, GMSaveFunc save = nullptr);
  void unset_overload_alloc();

  BufferMgr _gm_mgr, _l3_mgr;
  XPUStream xpu_stream = nullptr;
  GMAllocFunc overload_alloc_gm;
  GMFreeFunc overload_free_gm;
  GMSaveFunc overload_save_gm;

  // Of the library.
  int device() const { return device_; }

 private:
  Device dev_;
  int device_ = -1;  // its number
  int ncluster_ = 1, nsdnn_ = 1, max_ptr_size_ = 1, debug_level_ = 0;
  std::map<std::string, std::string> options_;
};

// For the current device; null when there is none. It uses the default stream.
Context* create_context();
void destroy_context(Context* ctx);
// The type of the current device, kCPU when there is none.
DeviceType get_dev_type();

// Memory for intermediate values until the end of a scope. All return null when there is none left.
class ctx_guard {
 public:
  explicit ctx_guard(Context* ctx);
  ~ctx_guard();
  ctx_guard(const ctx_guard&) = delete;
  ctx_guard& operator=(const ctx_guard&) = delete;

  template <class T>
  T* alloc(size_t count) {
    return static_cast<T*>(alloc_bytes(count, sizeof(T), true, false));
  }
  template <class T>
  T* alloc_l3(size_t count) {
    return static_cast<T*>(alloc_bytes(count, sizeof(T), false, true));
  }
  template <class T>
  T* alloc_l3_or_gm(size_t count) {
    return static_cast<T*>(alloc_bytes(count, sizeof(T), true, true));
  }

  // Device memory with `bytes` of the host in it. Waits for the stream.
  const void* upload(const void* host, size_t bytes);

 private:
  void* alloc_bytes(size_t count, size_t size, bool gm, bool l3);

  Context* ctx_;
  std::vector<std::unique_ptr<std::byte[]>> host_;
};

// A small array that the host has (`cpu`), the device (`xpu`), or both.
template <class T>
struct VectorParam {
  const T* cpu;
  int64_t len;
  const T* xpu;

  // With `xpu` set, by an upload where it was null.
  VectorParam to_xpu(ctx_guard& guard) const {
    if (xpu) return *this;
    return {cpu, len, static_cast<const T*>(guard.upload(cpu, static_cast<size_t>(len) * sizeof(T)))};
  }
};

// Why the last operator of this thread that did not return SUCCESS was refused, in words. Only the virtual library has
// it.
const char* xdnn_last_error();

// NOLINTEND(readability-identifier-naming)

}  // namespace baidu::xpu::api

#endif
