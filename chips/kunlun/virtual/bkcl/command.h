// The calls of a communicator as a command of a stream, which goes on as far as the other ranks let it and never waits.
//
// Streams run their commands as late as they may, under one lock of the whole process. A collective that waited for its
// peers there would keep the very threads out that have to bring them. So a command of a communicator only ever
// advances: it writes what it can into the shared memory, reads what is there, and says whether that moved anything.
// The runtime then lets the other streams of the process advance, of whichever thread they are; when all are stuck it
// gives the lock back for a moment. So one thread that waits for its stream carries the others along, two threads take
// turns, and ranks in other processes are found in the shared memory all the same.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "chips/kunlun/virtual/bkcl/segment.h"
#include "chips/kunlun/virtual/xre/kernel_code.h"
#include "xpu/bkcl.h"

namespace trireme::xpu::bkcl {

struct Communicator {
  std::unique_ptr<Segment> segment;
  int device = 0;
  int timeout_s = 0;
  std::mutex queueing;               // held while a command gets its number and its place in a stream
  uint64_t queued = 0;               // commands
  std::atomic<uint64_t> finished{};  // commands, in the order in which they were queued
};

// A message of a group; `out`: to the peer, else from it.
struct Message {
  bool out;
  int peer;
  uint64_t address, count;
  BKCLDataType type;
};

// One collective, or all messages of a group.
struct Call {
  Kind kind;
  BKCLDataType type = BKCL_UINT8;
  int op = -1, root = -1;
  uint64_t count = 0;  // as the caller gave it
  uint64_t send = 0, recv = 0;
  // Of kAllToAllV, addresses on the device.
  uint64_t send_counts = 0, send_offsets = 0, recv_counts = 0, recv_offsets = 0;
  std::vector<Message> messages = {};  // of kMessage

  std::string text() const;
  // What of the device's memory it is known to use.
  std::vector<Span> memory(int rank, int ranks) const;
};

class Command {
 public:
  Command(std::shared_ptr<Communicator> communicator, std::vector<Call> calls);
  // A command that is dropped ends its communicator: the other ranks would wait for it.
  ~Command();
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  // Under Communicator::queueing, before it is queued; and when that failed.
  void take_number();
  void return_number();
  // See launch_meeting.
  int advance(const Launch& launch, Effort* effort, std::string* text);

 private:
  // Where bytes lie: in memory of the device, or in `copy_`.
  struct Place {
    uint64_t address = 0;
    std::byte* copy = nullptr;
    Place at(uint64_t offset) const { return {address + offset, copy ? copy + offset : nullptr}; }
  };
  // One direction between two ranks.
  struct Flow {
    bool out;
    int peer;
    Ask ask;
    Place place;
    uint64_t bytes;
    enum State { kNew, kAsked, kAnswered, kPieces } state;
    uint64_t number = 0;  // of the transfer in its channel
    uint64_t done = 0;    // bytes
    Ask heard = {};       // from the peer
    bool finished() const { return state == kAnswered || (state == kPieces && done == bytes); }
  };
  // What a rank reduces of all ranks' bytes while they come.
  struct Reduction {
    Place own, to;
    uint64_t bytes = 0, done = 0;
  };
  struct Broken {  // thrown
    std::string text;
  };

  int rank() const { return communicator_->segment->rank(); }
  int ranks() const { return communicator_->segment->ranks(); }
  bool finished() const;

  void begin(const Launch& launch);  // the call that is next
  void begin_collective(const Launch& launch);
  void begin_messages();
  bool next_phase(const Launch& launch);  // false: the call is done
  void exchange(const Call& call);

  bool move(const Launch& launch);
  bool move(const Launch& launch, Flow& flow);
  bool move(const Launch& launch, Reduction& reduction);
  void compare_messages(Flow& flow) const;
  void compare_all() const;
  void check_patience();
  double cost_ns(const Launch& launch) const;

  std::byte* find(const Launch& launch, const Place& place, uint64_t bytes) const;
  Flow flow(bool out, int peer, Place place, uint64_t bytes) const;

  std::shared_ptr<Communicator> communicator_;
  std::vector<Call> calls_;
  uint64_t number_ = 0;
  bool pending_ = false;  // it has a number and is not done

  size_t call_ = 0;
  int phase_ = -1;  // of the call; -1: not begun
  double now_ns_ = -1;
  std::vector<Flow> flows_;
  Reduction reduction_;
  std::vector<std::byte> copy_;  // of what is sent, where it overlaps what is received
  std::vector<uint64_t> send_counts_, send_offsets_, recv_counts_, recv_offsets_;  // of kAllToAllV

  std::chrono::steady_clock::time_point moved_, looked_;
  int suspect_ = -1;  // a rank that is gone; what it left behind may still be enough
};

}  // namespace trireme::xpu::bkcl
