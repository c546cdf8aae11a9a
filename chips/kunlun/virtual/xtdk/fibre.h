// A fibre: a function with a stack of its own that can stop in the middle and go on later, on the same thread.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <functional>

namespace trireme::xpu {

class Fibre {
 public:
  Fibre();
  ~Fibre();
  Fibre(const Fibre&) = delete;
  Fibre& operator=(const Fibre&) = delete;

  // `body` must not throw. It begins at the first resume; an earlier body must have ended.
  void start(std::function<void()> body);
  // Runs until the body yields or ends.
  void resume();
  // Inside of a body: back to whoever resumed it.
  void yield();
  bool ended() const { return ended_; }

 private:
  static void enter(unsigned high, unsigned low);

  std::function<void()> body_;
  bool ended_ = true;
  std::byte* stack_;
  ucontext_t self_{}, caller_{};
  // What the sanitizers want to know of stacks.
  const void* caller_stack_ = nullptr;
  size_t caller_size_ = 0;
  void *thread_fibre_ = nullptr, *caller_thread_fibre_ = nullptr;
};

}  // namespace trireme::xpu
