#include "trireme/runtime/memory_plan.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace trireme::runtime {

uint64_t plan_memory(std::vector<Block>& blocks, uint64_t alignment) {
  std::vector<size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return blocks[a].bytes > blocks[b].bytes; });
  std::vector<size_t> placed;  // sorted by offset
  uint64_t size = 0;
  for (size_t i : order) {
    Block& block = blocks[i];
    uint64_t at = 0;
    for (size_t k : placed) {
      const Block& other = blocks[k];
      if (other.last < block.first || block.last < other.first) continue;
      if (at + block.bytes <= other.offset) break;
      at = std::max(at, (other.offset + other.bytes + alignment - 1) / alignment * alignment);
    }
    block.offset = at;
    size = std::max(size, at + block.bytes);
    const auto after = [&](uint64_t offset, size_t k) { return offset < blocks[k].offset; };
    placed.insert(std::upper_bound(placed.begin(), placed.end(), at, after), i);
  }
  return size;
}

uint64_t live_bytes(const std::vector<Block>& blocks) {
  std::map<int, int64_t> change;
  for (const Block& block : blocks) {
    change[block.first] += static_cast<int64_t>(block.bytes);
    change[block.last + 1] -= static_cast<int64_t>(block.bytes);
  }
  int64_t alive = 0, most = 0;
  for (const auto& [position, bytes] : change) {
    alive += bytes;
    most = std::max(most, alive);
  }
  return static_cast<uint64_t>(most);
}

}  // namespace trireme::runtime
