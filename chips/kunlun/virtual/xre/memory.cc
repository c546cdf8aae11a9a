#include "chips/kunlun/virtual/xre/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <iterator>

namespace trireme::xpu {

std::unique_ptr<Block> Block::make(int device, int kind, uint64_t bytes) {
  std::unique_ptr<Block> block(new Block);
  block->device_ = device;
  block->kind_ = kind;
  block->bytes_ = bytes;
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  block->mapped_ = (bytes / page + 2) * page;  // a page more, so that two blocks never touch
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* reserved = mmap(nullptr, block->mapped_, PROT_NONE, kFlags, -1, 0);
  if (reserved == MAP_FAILED) return nullptr;
  block->reserved_ = static_cast<std::byte*>(reserved);
  void* store = mmap(nullptr, block->mapped_, PROT_READ | PROT_WRITE, kFlags, -1, 0);
  if (store == MAP_FAILED) return nullptr;
  block->store_ = static_cast<std::byte*>(store);
  return block;
}

Block::~Block() {
  if (reserved_) munmap(reserved_, mapped_);
  if (store_) munmap(store_, mapped_);
}

Memory::~Memory() {
  for (const auto& [address, pinned] : pinned_) {
    if (pinned.owned) std::free(reinterpret_cast<void*>(address));
  }
}

uint64_t Memory::alloc(int device, int kind, uint64_t bytes) {
  auto block = Block::make(device, kind, bytes);
  if (!block) return 0;
  const uint64_t address = block->address();
  blocks_[address] = std::move(block);
  return address;
}

bool Memory::free(int device, uint64_t address) {
  const auto found = blocks_.find(address);
  if (found == blocks_.end() || found->second->device() != device) return false;
  blocks_.erase(found);
  return true;
}

std::byte* Memory::find(int device, uint64_t address, uint64_t bytes) const {
  auto found = blocks_.upper_bound(address);
  if (found == blocks_.begin()) return nullptr;
  const Block& block = *(--found)->second;
  const uint64_t offset = address - block.address();
  if (block.device() != device || offset > block.bytes() || bytes > block.bytes() - offset) return nullptr;
  return block.store() + offset;
}

const Block* Memory::block_at(uint64_t address) const {
  auto found = blocks_.upper_bound(address);
  if (found == blocks_.begin()) return nullptr;
  const Block& block = *(--found)->second;
  return address - block.address() <= block.bytes() ? &block : nullptr;
}

bool Memory::covers(uint64_t address) const { return block_at(address) != nullptr; }

int Memory::kind(uint64_t address) const {
  const Block* block = block_at(address);
  return block ? block->kind() : -1;
}

Memory::Usage Memory::usage(int device, int kind) const {
  Usage usage;
  for (const auto& [address, block] : blocks_) {
    if (block->device() != device || block->kind() != kind) continue;
    ++usage.blocks;
    usage.bytes += block->bytes();
  }
  return usage;
}

void Memory::scramble(int device) {
  for (const auto& [address, block] : blocks_) {
    if (block->device() == device) std::memset(block->store(), 0xA5, block->bytes());
  }
}

void* Memory::alloc_host(uint64_t bytes) {
  constexpr uint64_t kPage = 4096;
  if (bytes > UINT64_MAX - kPage) return nullptr;
  void* pointer = std::aligned_alloc(kPage, (bytes + kPage - 1) / kPage * kPage);
  if (pointer) pinned_[reinterpret_cast<uint64_t>(pointer)] = {bytes, true};
  return pointer;
}

bool Memory::free_host(void* pointer) {
  const auto found = pinned_.find(reinterpret_cast<uint64_t>(pointer));
  if (found == pinned_.end() || !found->second.owned) return false;
  pinned_.erase(found);
  std::free(pointer);
  return true;
}

bool Memory::pin(void* pointer, uint64_t bytes) {
  const uint64_t begin = reinterpret_cast<uint64_t>(pointer);
  const auto next = pinned_.lower_bound(begin);
  if (next != pinned_.end() && next->first - begin < bytes) return false;
  if (next != pinned_.begin()) {
    const auto before = std::prev(next);
    if (begin - before->first < before->second.bytes) return false;
  }
  pinned_[begin] = {bytes, false};
  return true;
}

bool Memory::unpin(void* pointer) {
  const auto found = pinned_.find(reinterpret_cast<uint64_t>(pointer));
  if (found == pinned_.end() || found->second.owned) return false;
  pinned_.erase(found);
  return true;
}

bool Memory::pinned(const void* pointer, uint64_t bytes) const {
  const uint64_t begin = reinterpret_cast<uint64_t>(pointer);
  auto found = pinned_.upper_bound(begin);
  if (found == pinned_.begin()) return false;
  --found;
  const uint64_t offset = begin - found->first;
  return offset <= found->second.bytes && bytes <= found->second.bytes - offset;
}

}  // namespace trireme::xpu
