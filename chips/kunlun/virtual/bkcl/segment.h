// What the ranks of a communicator share: a piece of POSIX shared memory, named by the unique id, whether they are
// threads of one process or processes. Nothing here waits.
//
// Each ordered pair of ranks has a channel, written by the one and read by the other. A transfer through it begins with
// both saying what they ask for, so that each sees whether these fit; then its bytes follow in pieces, one at a time.
//
// A rank that lives holds a lock on its byte of the segment's file, which the system takes away when its process dies
// (a child that was forked without exec keeps it). The name goes as soon as all have joined, or when one gives up; the
// memory goes with its last user. Only when all die before either does the name stay behind.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace trireme::xpu::bkcl {

constexpr int kMaxRanks = 64;

enum class Kind : uint32_t {
  kAllReduce,
  kReduce,
  kBroadcast,
  kAllGather,
  kReduceScatter,
  kAllToAll,
  kAllToAllV,
  kMessage,
};

// What one side of a transfer wants. All but the time must be equal on both sides.
struct Ask {
  Kind kind;
  uint32_t type;     // BKCLDataType
  int32_t op, root;  // -1: none
  uint64_t count;
  double ready_ns;  // the clock of its stream

  bool fits(const Ask& other) const {
    return kind == other.kind && type == other.type && op == other.op && root == other.root && count == other.count;
  }
  std::string text() const;
};

struct Channel {
  // Transfers begun by the sender and the receiver. Transfer i uses asks[i % 2] and answers[i % 2]: neither side begins
  // i + 2 before the other has read what it said of i.
  std::atomic<uint64_t> asked, answered;
  Ask asks[2], answers[2];
  // Pieces written and read; they differ by one at most.
  std::atomic<uint64_t> posted, taken;
};

class Segment {
 public:
  // Opens the segment of that name, or makes it, and takes the place of a rank. Null with *error when that fails.
  // `device` is a number that no other rank of this process has.
  static std::unique_ptr<Segment> join(const std::string& name, int rank, int ranks, int device, std::string* error);
  // Leaves.
  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  int rank() const { return rank_; }
  int ranks() const { return ranks_; }
  // Whether all have joined (at any time before now).
  bool complete() const;
  // The ranks that have not, in words.
  std::string missing() const;
  // Two ranks on one device, in words; empty when there are none. Once complete.
  std::string shared_device() const;
  void unlink() const;

  Channel& channel(int from, int to) const;
  std::byte* piece(int from, int to) const;
  size_t piece_bytes() const { return piece_bytes_; }  // a multiple of 64

  // Whether the rank has joined and is there no more.
  bool gone(int rank) const;
  // The first failure counts; its text goes to all ranks.
  void fail(const std::string& text) const;
  bool failed() const;
  std::string failure() const;

 private:
  struct Header;
  Segment() = default;
  Header& header() const { return *reinterpret_cast<Header*>(memory_); }

  std::string name_;
  int rank_ = 0, ranks_ = 0, file_ = -1;
  size_t piece_bytes_ = 0, bytes_ = 0;
  std::byte* memory_ = nullptr;
};

}  // namespace trireme::xpu::bkcl
