// Device memory of refchip: real pages that nobody may touch except the chip while a command runs.
//
// Pages stay PROT_NONE, so host code that reads or writes device memory directly dies on the spot instead of working by
// luck. Each chunk counts its users: a command that waits in a queue keeps its chunks, and freeing them is refused.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "trireme/chip/chip.h"

namespace trireme::refchip {

// Space numbers of TrmSpace.id.
inline constexpr uint32_t kDeviceSpace = 1, kPinnedSpace = 2;

class Chunk {
 public:
  // Throws kOutOfMemory when the operating system has no pages left.
  Chunk(const void* owner, uint32_t space, uint64_t bytes);
  ~Chunk();
  Chunk(const Chunk&) = delete;
  Chunk& operator=(const Chunk&) = delete;

  const void* owner() const { return owner_; }  // the device
  uint32_t space() const { return space_; }
  uint64_t bytes() const { return bytes_; }
  uint64_t address() const { return reinterpret_cast<uint64_t>(base_); }

  // Between open and close the pages are readable and writable. Nests.
  std::byte* open();
  void close();

  std::atomic<uint32_t> users{0};  // commands that have not finished
  std::atomic<bool> freed{false};

 private:
  const void* owner_;
  uint32_t space_;
  uint64_t bytes_, mapped_;
  std::byte* base_;
  std::mutex mutex_;
  uint32_t opens_ = 0;
};

// The bytes that strided elements occupy around element [0, 0, ...]: from `low` (at most 0) to `high`.
struct Extent {
  int64_t low = 0, high = 0;
};
Extent extent_of(uint32_t rank, const int64_t* dims, const int64_t* strides, uint32_t item_bytes);
// Moves elements between two layouts of the same dims; strides in items.
void copy_elements(uint32_t rank, const int64_t* dims, uint32_t item_bytes, std::byte* to, const int64_t* to_strides,
                   const std::byte* from, const int64_t* from_strides);

// A checked piece of memory: in a chunk, or on the host when `chunk` is null.
struct Place {
  std::shared_ptr<Chunk> chunk;
  uint64_t offset = 0;  // of the piece in its chunk
  std::byte* host = nullptr;
};

// Makes a place touchable while alive.
class Access {
 public:
  explicit Access(const Place& place)
      : chunk_(place.chunk.get()), data_(chunk_ ? chunk_->open() + place.offset : place.host) {}
  ~Access() {
    if (chunk_) chunk_->close();
  }
  Access(const Access&) = delete;
  Access& operator=(const Access&) = delete;
  std::byte* data() const { return data_; }

 private:
  Chunk* chunk_;
  std::byte* data_;
};

// All chunks of the devices of one plug-in, by handle. Thread-safe.
class Memory {
 public:
  explicit Memory(TrmAddressing addressing) : addressing_(addressing) {}
  TrmAddressing addressing() const { return addressing_; }

  TrmMem alloc(const void* owner, uint32_t space, uint64_t bytes);
  // Refuses what is not a chunk of `owner`, and a chunk that commands still use.
  std::shared_ptr<Chunk> free(const void* owner, const TrmMem& mem);
  void free_all(const void* owner);
  // Overwrites everything `owner` has: contents are lost.
  void scramble(const void* owner);
  // The chunk behind `mem`, when the extent around mem.offset lies inside it.
  Place find(const TrmMem& mem, const Extent& extent) const;
  struct Usage {
    uint64_t chunks = 0, bytes = 0;
  };
  // What `owner` holds in a space.
  Usage usage(const void* owner, uint32_t space) const;

 private:
  TrmAddressing addressing_;
  mutable std::mutex mutex_;
  std::map<uint64_t, std::shared_ptr<Chunk>> chunks_;
  uint64_t next_handle_ = 0xA000000000000001ull;  // never an address of a user process
};

}  // namespace trireme::refchip
