// Memory of the virtual devices. What programs hold are addresses of pages that nobody may touch, so a host that reads
// device memory dies on the spot; the bytes lie elsewhere, and only the chip finds them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

namespace trireme::xpu {

class Block {
 public:
  // Null when the operating system has no pages left.
  static std::unique_ptr<Block> make(int device, int kind, uint64_t bytes);
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  int device() const { return device_; }
  int kind() const { return kind_; }
  uint64_t bytes() const { return bytes_; }
  uint64_t address() const { return reinterpret_cast<uint64_t>(reserved_); }
  std::byte* store() const { return store_; }

 private:
  Block() = default;
  int device_ = 0, kind_ = 0;
  uint64_t bytes_ = 0, mapped_ = 0;
  std::byte *reserved_ = nullptr, *store_ = nullptr;
};

class Memory {
 public:
  // The address, 0 when there are no pages left.
  uint64_t alloc(int device, int kind, uint64_t bytes);
  // False when no block of the device begins there.
  bool free(int device, uint64_t address);
  // The bytes behind an address, null unless all of them lie inside one block of the device.
  std::byte* find(int device, uint64_t address, uint64_t bytes) const;

  // Whether the address is device memory, of any device.
  bool covers(uint64_t address) const;
  // XPUMemoryKind of what lies at an address, -1 for what is no device memory.
  int kind(uint64_t address) const;

  struct Usage {
    uint64_t blocks = 0, bytes = 0;
  };
  Usage usage(int device, int kind) const;
  // Overwrites all blocks of a device.
  void scramble(int device);

  // Host memory that copies reach at full rate, by its begin; `owned` is what alloc_host gave.
  struct Pinned {
    uint64_t bytes = 0;
    bool owned = false;
  };
  void* alloc_host(uint64_t bytes);
  bool free_host(void* pointer);
  // False when any of it is pinned already.
  bool pin(void* pointer, uint64_t bytes);
  bool unpin(void* pointer);
  bool pinned(const void* pointer, uint64_t bytes) const;

  Memory() = default;
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

 private:
  const Block* block_at(uint64_t address) const;

  std::map<uint64_t, std::unique_ptr<Block>> blocks_;
  std::map<uint64_t, Pinned> pinned_;
};

}  // namespace trireme::xpu
