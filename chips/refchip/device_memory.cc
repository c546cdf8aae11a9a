#include "device_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/chip/chip.hpp"

namespace trireme::refchip {

Extent extent_of(uint32_t rank, const int64_t* dims, const int64_t* strides, uint32_t item_bytes) {
  int64_t first = 0, last = 0;
  for (uint32_t axis = 0; axis < rank; ++axis) {
    if (dims[axis] == 0) return {};
    (strides[axis] < 0 ? first : last) += (dims[axis] - 1) * strides[axis];
  }
  return {first * item_bytes, (last + 1) * item_bytes};
}

void copy_elements(uint32_t rank, const int64_t* dims, uint32_t item_bytes, std::byte* to, const int64_t* to_strides,
                   const std::byte* from, const int64_t* from_strides) {
  if (rank == 0) {
    std::memcpy(to, from, item_bytes);
    return;
  }
  for (int64_t i = 0; i < dims[0]; ++i) {
    copy_elements(rank - 1, dims + 1, item_bytes, to + i * to_strides[0] * item_bytes, to_strides + 1,
                  from + i * from_strides[0] * item_bytes, from_strides + 1);
  }
}

Chunk::Chunk(const void* owner, uint32_t space, uint64_t bytes) : owner_(owner), space_(space), bytes_(bytes) {
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  mapped_ = (bytes / page + 1) * page;  // at least one page, and one byte more than asked
  const int protection = space == kPinnedSpace ? PROT_READ | PROT_WRITE : PROT_NONE;
  void* pages = mmap(nullptr, mapped_, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) {
    throw chip::Failure(TRM_OUT_OF_MEMORY,
                        cat("the operating system refused ", mapped_, " bytes of pages for device memory"));
  }
  base_ = static_cast<std::byte*>(pages);
}

Chunk::~Chunk() { munmap(base_, mapped_); }

std::byte* Chunk::open() {
  if (space_ == kPinnedSpace) return base_;
  std::lock_guard lock(mutex_);
  if (opens_++ == 0) TRIREME_CHECK(mprotect(base_, mapped_, PROT_READ | PROT_WRITE) == 0, "device pages stay locked");
  return base_;
}

void Chunk::close() {
  if (space_ == kPinnedSpace) return;
  std::lock_guard lock(mutex_);
  if (--opens_ == 0) mprotect(base_, mapped_, PROT_NONE);
}

TrmMem Memory::alloc(const void* owner, uint32_t space, uint64_t bytes) {
  auto chunk = std::make_shared<Chunk>(owner, space, bytes);
  std::lock_guard lock(mutex_);
  const bool address = space == kPinnedSpace || addressing_ == TRM_FLAT;
  TrmMem mem{};
  mem.handle = address ? chunk->address() : next_handle_++;
  mem.bytes = bytes;
  mem.space = space;
  chunks_[mem.handle] = std::move(chunk);
  return mem;
}

std::shared_ptr<Chunk> Memory::free(const void* owner, const TrmMem& mem) {
  std::lock_guard lock(mutex_);
  const auto found = chunks_.find(mem.handle);
  if (found == chunks_.end() || found->second->owner() != owner || mem.offset != 0) {
    throw chip::Failure(TRM_INVALID, cat("chunk_free of handle ", mem.handle, " offset ", mem.offset,
                                         ": not what chunk_alloc of this device gave; free each chunk once"));
  }
  std::shared_ptr<Chunk> chunk = found->second;
  if (const uint32_t users = chunk->users.load()) {
    throw chip::Failure(TRM_INVALID, cat("chunk_free of handle ", mem.handle, ": ", users,
                                         " commands still use it; wait for them first"));
  }
  chunk->freed = true;
  chunks_.erase(found);
  return chunk;
}

void Memory::free_all(const void* owner) {
  std::lock_guard lock(mutex_);
  std::erase_if(chunks_, [&](const auto& entry) {
    if (entry.second->owner() != owner) return false;
    entry.second->freed = true;
    return true;
  });
}

void Memory::scramble(const void* owner) {
  std::lock_guard lock(mutex_);
  for (const auto& [handle, chunk] : chunks_) {
    if (chunk->owner() != owner) continue;
    std::memset(chunk->open(), 0xA5, chunk->bytes());
    chunk->close();
  }
}

Place Memory::find(const TrmMem& mem, const Extent& extent) const {
  const auto [low, high] = extent;
  Place place;
  if (mem.space == TRM_HOST_SPACE) {
    place.host = reinterpret_cast<std::byte*>(mem.handle + mem.offset);
    if (!place.host && high > low) throw chip::Failure(TRM_INVALID, "host memory at address 0");
    return place;
  }
  const bool address = mem.space == kPinnedSpace || addressing_ == TRM_FLAT;
  if (!address && addressing_ == TRM_WHOLE && mem.offset != 0) {
    throw chip::Failure(TRM_INVALID, cat("offset ", mem.offset,
                                         " in memory of addressing \"whole\"; copy the piece "
                                         "to a chunk of its own"));
  }
  std::lock_guard lock(mutex_);
  auto found = chunks_.find(mem.handle);
  if (address && found == chunks_.end()) {  // flat addresses may point into a chunk
    found = chunks_.upper_bound(mem.handle);
    if (found != chunks_.begin()) --found;
  }
  if (found == chunks_.end() || found->second->space() != mem.space ||
      (address && mem.handle - found->first > found->second->bytes())) {
    throw chip::Failure(
        TRM_INVALID, cat("handle ", mem.handle, " of space ", mem.space, " is not memory of this chip (or was freed)"));
  }
  place.chunk = found->second;
  place.offset = mem.offset + (address ? mem.handle - found->first : 0);
  const uint64_t size = place.chunk->bytes();
  const bool fits = place.offset <= size && low <= 0 && static_cast<uint64_t>(-low) <= place.offset &&
                    (high <= 0 || static_cast<uint64_t>(high) <= size - place.offset);
  if (!fits) {
    throw chip::Failure(TRM_INVALID, cat("bytes ", low, " to ", high, " around offset ", place.offset,
                                         " reach outside their chunk of ", size, " bytes"));
  }
  return place;
}

Memory::Usage Memory::usage(const void* owner, uint32_t space) const {
  std::lock_guard lock(mutex_);
  Usage usage;
  for (const auto& [handle, chunk] : chunks_) {
    if (chunk->owner() != owner || chunk->space() != space) continue;
    ++usage.chunks;
    usage.bytes += chunk->bytes();
  }
  return usage;
}

}  // namespace trireme::refchip
