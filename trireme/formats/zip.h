// Zip archives as NumPy and PyTorch write them, in memory: entries stored or deflated.
//
// Nothing is allocated on the word of the archive alone. An entry may claim at most what deflate can make of its
// compressed bytes (1032 to 1), and all compressed bytes together at most the archive's own, so that entries cannot
// share them. A damaged archive is an Error kDataLoss; encryption and other methods are kUnsupported.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/core/literal.h"

namespace trireme::formats {

class ZipReader {
 public:
  struct Entry {
    std::string name;
    uint64_t index, bytes;  // bytes: uncompressed
  };

  // `owner` keeps the bytes alive; `source` stands for the file's name in messages.
  ZipReader(std::shared_ptr<const void> owner, std::span<const std::byte> bytes, std::string source);
  ~ZipReader();
  ZipReader(const ZipReader&) = delete;
  ZipReader& operator=(const ZipReader&) = delete;

  const std::vector<Entry>& entries() const { return entries_; }
  // Null when there is none.
  const Entry* find(std::string_view name) const;
  // The whole entry, u8 [bytes], its checksum verified; or no more than its first `most` bytes, unverified.
  Literal read(const Entry& entry) const;
  Literal read_beginning(const Entry& entry, uint64_t most) const;

 private:
  struct Archive;
  Literal read_bytes(const Entry& entry, uint64_t count) const;

  std::shared_ptr<const void> owner_;
  std::string source_;
  std::unique_ptr<Archive> archive_;
  std::vector<Entry> entries_;
  std::map<std::string, size_t, std::less<>> places_;  // in entries_
};

// One entry to write: the bytes of `parts`, one after the other.
struct ZipPart {
  std::string name;
  std::vector<std::span<const std::byte>> parts;
};
// Written atomically; the same content gives the same bytes.
void write_zip(const std::string& path, const std::vector<ZipPart>& entries, bool deflate);

}  // namespace trireme::formats
