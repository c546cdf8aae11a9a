// Contexts of XDNN and the memory of their intermediate values.
#include "xpu/refactor/context.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "chips/kunlun/virtual/generation.h"
#include "chips/kunlun/virtual/xre/kernel_code.h"

namespace baidu::xpu::api {
namespace {

constexpr size_t kAlign = 64;
constexpr size_t kMiB = 1 << 20;

size_t default_gm_bytes(DeviceType type) { return (type == kXPU1 ? 64 : 128) * kMiB; }

size_t rounded(size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

}  // namespace

// ---- BufferMgr

BufferMgr::~BufferMgr() {
  for (void* block : extra_) xpu_free(block);
  if (owned_ && base_) xpu_free(base_);
}

int BufferMgr::set(void* pointer, size_t bytes) {
  if ((pointer == nullptr) != (bytes == 0) || !marks_.empty()) return INVALID_PARAM;
  if (owned_ && base_) xpu_free(base_);
  owned_ = false;
  base_ = static_cast<std::byte*>(pointer);
  bytes_ = bytes;
  used_ = 0;
  return SUCCESS;
}

void BufferMgr::own_gm(size_t bytes) {
  owned_ = true;
  base_ = nullptr;
  bytes_ = bytes;
}

void* BufferMgr::alloc(size_t bytes) {
  if (bytes > SIZE_MAX - kAlign) return nullptr;
  const size_t need = rounded(std::max<size_t>(bytes, 1));
  if (owned_ && !base_) {
    void* block = nullptr;
    if (xpu_malloc(&block, bytes_, XPU_MEM_MAIN) == 0) base_ = static_cast<std::byte*>(block);
  }
  if (base_ && need <= bytes_ - used_) {
    void* pointer = base_ + used_;
    used_ += need;
    return pointer;
  }
  if (!owned_) return nullptr;
  void* block = nullptr;
  if (xpu_malloc(&block, need, XPU_MEM_MAIN) != 0) return nullptr;
  extra_.push_back(block);
  return block;
}

void BufferMgr::save() { marks_.push_back({used_, extra_.size()}); }

void BufferMgr::restore(XPUStream stream) {
  if (marks_.empty()) return;
  const Mark mark = marks_.back();
  marks_.pop_back();
  used_ = mark.used;
  if (extra_.size() == mark.extra) return;
  xpu_wait(stream);  // the blocks go back to the device, so nothing may use them any more
  for (size_t i = mark.extra; i < extra_.size(); ++i) xpu_free(extra_[i]);
  extra_.resize(mark.extra);
}

// ---- Context

Context::Context(Device device) : dev_(device) {
  if (const char* level = std::getenv("XPUAPI_DEBUG")) debug_level_ = std::atoi(level);
  if (dev_.type() == kCPU) return;
  xpu_current_device(&device_);
  if (const auto* generation = trireme::xpu::current_generation()) {
    ncluster_ = generation->clusters;
    nsdnn_ = max_ptr_size_ = generation->sdnn;
  }
  _gm_mgr.own_gm(default_gm_bytes(dev_.type()));
}

Context::~Context() = default;

int Context::set_ncluster(int count) {
  const auto* generation = dev_.type() == kCPU ? nullptr : trireme::xpu::current_generation();
  if (!generation || count < 1 || count > generation->clusters) return -1;
  ncluster_ = count;
  return 0;
}

int Context::set_nsdnn(int count) {
  if (dev_.type() == kCPU || count < 1 || count > max_ptr_size_) return -1;
  nsdnn_ = count;
  return 0;
}

int Context::set_option(const char* name, const char* value) {
  if (!name || !value) return INVALID_PARAM;
  options_[name] = value;
  return SUCCESS;
}

const char* Context::get_option(const char* name) const {
  const auto found = name ? options_.find(name) : options_.end();
  return found == options_.end() ? nullptr : found->second.c_str();
}

int Context::set_debug_level(int level) {
  debug_level_ = level;
  return SUCCESS;
}

void Context::set_overload_alloc(GMAllocFunc alloc, GMFreeFunc free, GMSaveFunc save) {
  overload_alloc_gm = std::move(alloc);
  overload_free_gm = std::move(free);
  overload_save_gm = std::move(save);
}

void Context::unset_overload_alloc() { set_overload_alloc(nullptr, nullptr, nullptr); }

DeviceType get_dev_type() {
  const auto* generation = trireme::xpu::current_generation();
  return generation ? static_cast<DeviceType>(generation->architecture) : kCPU;
}

Context* create_context() {
  const DeviceType type = get_dev_type();
  return type == kCPU ? nullptr : new Context(type);
}

void destroy_context(Context* ctx) { delete ctx; }

// ---- ctx_guard

ctx_guard::ctx_guard(Context* ctx) : ctx_(ctx) {
  if (!ctx_) return;
  if (ctx_->overload_save_gm) ctx_->overload_save_gm();
  ctx_->_gm_mgr.save();
  ctx_->_l3_mgr.save();
}

ctx_guard::~ctx_guard() {
  if (!ctx_) return;
  if (ctx_->overload_free_gm) ctx_->overload_free_gm();
  ctx_->_gm_mgr.restore(ctx_->xpu_stream);
  ctx_->_l3_mgr.restore(ctx_->xpu_stream);
}

void* ctx_guard::alloc_bytes(size_t count, size_t size, bool gm, bool l3) {
  if (!ctx_ || count > SIZE_MAX / size) return nullptr;
  const size_t bytes = std::max<size_t>(count * size, 1);
  if (ctx_->dev().type() == kCPU) {
    host_.emplace_back(new (std::nothrow) std::byte[bytes]);
    return host_.back().get();
  }
  void* pointer = l3 ? ctx_->_l3_mgr.alloc(bytes) : nullptr;
  if (pointer || !gm) return pointer;
  return ctx_->overload_alloc_gm ? ctx_->overload_alloc_gm(bytes) : ctx_->_gm_mgr.alloc(bytes);
}

const void* ctx_guard::upload(const void* host, size_t bytes) {
  if (!ctx_ || !host) return nullptr;
  if (ctx_->dev().type() == kCPU) return host;
  void* pointer = alloc_bytes(bytes, 1, true, false);
  if (!pointer || xpu_wait(ctx_->xpu_stream) != 0) return nullptr;
  return xpu_memcpy(pointer, host, bytes, XPU_HOST_TO_DEVICE) == 0 ? pointer : nullptr;
}

}  // namespace baidu::xpu::api
