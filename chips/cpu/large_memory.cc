#include "chips/cpu/large_memory.h"

#include <algorithm>
#include <cstdlib>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace trireme::cpu {

void* allocate_large(size_t bytes) noexcept {
  constexpr size_t kLine = 64, kPage = size_t{2} << 20;
  const size_t alignment = bytes >= 2 * kPage ? kPage : kLine;
  const size_t rounded = (std::max<size_t>(bytes, 1) + alignment - 1) / alignment * alignment;
  void* memory = rounded < bytes ? nullptr : std::aligned_alloc(alignment, rounded);
#ifdef __linux__
  if (memory && alignment == kPage) ::madvise(memory, rounded, MADV_HUGEPAGE);  // a wish: without them it works as well
#endif
  return memory;
}
void free_large(void* memory) noexcept { std::free(memory); }

}  // namespace trireme::cpu
