#include "chips/kunlun/virtual/xtdk/fibre.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

// Both compilers' ways to say which sanitizer is on.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TRIREME_XPU_ASAN
#endif
#if __has_feature(thread_sanitizer)
#define TRIREME_XPU_TSAN
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define TRIREME_XPU_ASAN
#endif
#if defined(__SANITIZE_THREAD__)
#define TRIREME_XPU_TSAN
#endif

#ifdef TRIREME_XPU_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef TRIREME_XPU_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace trireme::xpu {
namespace {

constexpr size_t kStack = 256 << 10, kGuard = 4 << 10;  // below the stack a page that nobody may touch

void leave([[maybe_unused]] void** save, [[maybe_unused]] const void* stack, [[maybe_unused]] size_t size) {
#ifdef TRIREME_XPU_ASAN
  __sanitizer_start_switch_fiber(save, stack, size);
#endif
}

void arrive([[maybe_unused]] void* saved, [[maybe_unused]] const void** stack, [[maybe_unused]] size_t* size) {
#ifdef TRIREME_XPU_ASAN
  __sanitizer_finish_switch_fiber(saved, stack, size);
#endif
}

void switch_to([[maybe_unused]] void* thread_fibre) {
#ifdef TRIREME_XPU_TSAN
  __tsan_switch_to_fiber(thread_fibre, 0);
#endif
}

}  // namespace

Fibre::Fibre() {
  void* pages = mmap(nullptr, kGuard + kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) throw std::bad_alloc();
  mprotect(pages, kGuard, PROT_NONE);
  stack_ = static_cast<std::byte*>(pages) + kGuard;
#ifdef TRIREME_XPU_TSAN
  thread_fibre_ = __tsan_create_fiber(0);
#endif
}

Fibre::~Fibre() {
#ifdef TRIREME_XPU_TSAN
  __tsan_destroy_fiber(thread_fibre_);
#endif
  munmap(stack_ - kGuard, kGuard + kStack);
}

void Fibre::start(std::function<void()> body) {
  body_ = std::move(body);
  ended_ = false;
  getcontext(&self_);
  self_.uc_stack.ss_sp = stack_;
  self_.uc_stack.ss_size = kStack;
  self_.uc_link = nullptr;
  const auto address = reinterpret_cast<uint64_t>(this);  // makecontext hands over ints
  makecontext(&self_, reinterpret_cast<void (*)()>(enter), 2, static_cast<unsigned>(address >> 32),
              static_cast<unsigned>(address));
}

void Fibre::resume() {
  void* save = nullptr;
#ifdef TRIREME_XPU_TSAN
  caller_thread_fibre_ = __tsan_get_current_fiber();
#endif
  leave(&save, stack_, kStack);
  switch_to(thread_fibre_);
  swapcontext(&caller_, &self_);
  arrive(save, nullptr, nullptr);
}

void Fibre::yield() {
  void* save = nullptr;
  leave(&save, caller_stack_, caller_size_);
  switch_to(caller_thread_fibre_);
  swapcontext(&self_, &caller_);
  arrive(save, &caller_stack_, &caller_size_);
}

void Fibre::enter(unsigned high, unsigned low) {
  auto& fibre = *reinterpret_cast<Fibre*>(static_cast<uint64_t>(high) << 32 | low);
  arrive(nullptr, &fibre.caller_stack_, &fibre.caller_size_);
  fibre.body_();
  fibre.ended_ = true;
  leave(nullptr, fibre.caller_stack_, fibre.caller_size_);
  switch_to(fibre.caller_thread_fibre_);
  setcontext(&fibre.caller_);
}

}  // namespace trireme::xpu
