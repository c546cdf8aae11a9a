#include "chips/kunlun/virtual/bkcl/segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "trireme/base/strings.h"

namespace trireme::xpu::bkcl {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kPieces = 4 << 20;  // bytes of all pieces together, about
constexpr size_t kLargestPiece = 256 << 10;

size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }
const size_t kChannelBytes = aligned(sizeof(Channel));

struct flock lock_of(int rank, short type) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = rank;
  lock.l_len = 1;
  return lock;
}

const char* name_of(uint32_t type) {
  constexpr const char* kNames[] = {"FLOAT", "FLOAT16", "BFLOAT16", "FLOAT64", "UINT8", "INT32", "INT64"};
  return kNames[type];
}

const char* name_of(Kind kind) {
  constexpr const char* kNames[] = {"all_reduce",     "reduce",     "broadcast",    "all_gather",
                                    "reduce_scatter", "all_to_all", "all_to_all_v", "a message"};
  return kNames[static_cast<size_t>(kind)];
}

}  // namespace

std::string Ask::text() const {
  constexpr const char* kOps[] = {"ADD", "PRODUCT", "MIN", "MAX"};
  std::string text = cat(name_of(kind), " of ", count, " ", name_of(type));
  if (op >= 0) text += cat(" by ", kOps[op]);
  if (root >= 0) text += cat(" with root ", root);
  return text;
}

// The system gives it filled with zeros.
struct Segment::Header {
  enum State : uint32_t { kWell = 0, kFailing, kFailed };
  struct Place {
    std::atomic<uint32_t> taken, joined;
    int64_t process;
    int32_t device;
  };
  std::atomic<int32_t> ranks;  // 0: nobody has joined
  std::atomic<uint32_t> state;
  char text[4096];
  Place places[kMaxRanks];
};
static_assert(std::atomic<uint64_t>::is_always_lock_free && std::atomic<uint32_t>::is_always_lock_free);

std::unique_ptr<Segment> Segment::join(const std::string& name, int rank, int ranks, int device, std::string* error) {
  std::unique_ptr<Segment> segment(new Segment);
  segment->name_ = name;
  segment->rank_ = rank;
  segment->ranks_ = ranks;
  const size_t pairs = static_cast<size_t>(ranks) * ranks;
  segment->piece_bytes_ = std::min(kLargestPiece, kPieces / pairs / kAlignment * kAlignment);
  segment->bytes_ = aligned(sizeof(Header)) + pairs * (kChannelBytes + segment->piece_bytes_);
  const auto failed = [&](const char* what, int code) {
    *error = cat("the shared memory ", name, " cannot be ", what, ": ", std::strerror(code));
    return nullptr;
  };
  segment->file_ = shm_open(name.c_str(), O_CREAT | O_RDWR, 0600);
  if (segment->file_ < 0) return failed("opened", errno);
  // Grows it and never shrinks it; memory that is not there would kill the process later.
  const int code = posix_fallocate(segment->file_, 0, static_cast<off_t>(segment->bytes_));
  if (code != 0) return failed("made large enough", code);
  void* memory = mmap(nullptr, segment->bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, segment->file_, 0);
  if (memory == MAP_FAILED) return failed("mapped", errno);
  segment->memory_ = static_cast<std::byte*>(memory);

  Header& header = segment->header();
  int32_t others = 0;
  if (!header.ranks.compare_exchange_strong(others, ranks) && others != ranks) {
    *error = cat("rank ", rank, " says there are ", ranks, " ranks, another rank says ", others);
    segment->fail(*error);
    return nullptr;
  }
  Header::Place& place = header.places[rank];
  if (place.taken.exchange(1) != 0) {
    *error = cat("two have joined as rank ", rank, " of ", ranks);
    segment->fail(*error);
    return nullptr;
  }
  struct flock lock = lock_of(rank, F_WRLCK);
  if (fcntl(segment->file_, F_OFD_SETLK, &lock) != 0) return failed("locked", errno);
  place.process = getpid();
  place.device = device;
  place.joined.store(1);
  return segment;
}

Segment::~Segment() {
  if (memory_) munmap(memory_, bytes_);
  if (file_ >= 0) close(file_);  // with it goes the lock
}

bool Segment::complete() const {
  const Header::Place* places = header().places;
  return std::all_of(places, places + ranks_, [](const Header::Place& place) { return place.joined.load() != 0; });
}

std::string Segment::missing() const {
  std::string text;
  for (int i = 0; i < ranks_; ++i) {
    if (header().places[i].joined.load() == 0) text += cat(text.empty() ? "" : ", ", i);
  }
  return text;
}

std::string Segment::shared_device() const {
  for (int i = 0; i < ranks_; ++i) {
    for (int j = 0; j < i; ++j) {
      const Header::Place &one = header().places[j], &other = header().places[i];
      if (one.process != other.process || one.device != other.device) continue;
      return cat("ranks ", j, " and ", i, " are both on device ", one.device, " of process ", one.process);
    }
  }
  return "";
}

void Segment::unlink() const { shm_unlink(name_.c_str()); }

Channel& Segment::channel(int from, int to) const {
  const size_t pair = static_cast<size_t>(from) * ranks_ + to;
  return *reinterpret_cast<Channel*>(memory_ + aligned(sizeof(Header)) + pair * kChannelBytes);
}

std::byte* Segment::piece(int from, int to) const {
  const size_t pairs = static_cast<size_t>(ranks_) * ranks_, pair = static_cast<size_t>(from) * ranks_ + to;
  return memory_ + aligned(sizeof(Header)) + pairs * kChannelBytes + pair * piece_bytes_;
}

bool Segment::gone(int rank) const {
  if (rank == rank_ || header().places[rank].joined.load() == 0) return false;
  struct flock lock = lock_of(rank, F_WRLCK);
  return fcntl(file_, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
}

void Segment::fail(const std::string& text) const {
  uint32_t state = Header::kWell;
  if (!header().state.compare_exchange_strong(state, Header::kFailing)) return;
  const size_t bytes = std::min(text.size(), sizeof(Header::text) - 1);
  std::memcpy(header().text, text.data(), bytes);
  header().text[bytes] = 0;
  header().state.store(Header::kFailed);
}

bool Segment::failed() const { return header().state.load() != Header::kWell; }

std::string Segment::failure() const {
  for (int i = 0; i < 100 && header().state.load() == Header::kFailing; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return header().state.load() == Header::kFailed ? header().text : "a rank died while it said why it failed";
}

}  // namespace trireme::xpu::bkcl
