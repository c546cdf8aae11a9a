// Memory for what is walked through from end to end: on the edge of a cache line, and in large pages where there is
// enough of it, so that a walk misses fewer translations of addresses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

namespace trireme::cpu {

// Null where there is no memory left.
void* allocate_large(size_t bytes) noexcept;
void free_large(void* memory) noexcept;

template <class T>
struct LargeAllocator {
  using value_type = T;
  LargeAllocator() = default;
  template <class U>
  explicit LargeAllocator(const LargeAllocator<U>&) {}
  T* allocate(size_t count) {
    void* memory = count <= SIZE_MAX / sizeof(T) ? allocate_large(count * sizeof(T)) : nullptr;
    if (!memory) throw std::bad_alloc();
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t) { free_large(memory); }
  bool operator==(const LargeAllocator&) const = default;
};
template <class T>
using LargeVector = std::vector<T, LargeAllocator<T>>;

}  // namespace trireme::cpu
