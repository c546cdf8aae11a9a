// The functions of xpu/bkcl.h: they check what they are given and queue it. command.h says how it is done.
#include "xpu/bkcl.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string_view>
#include <thread>
#include <utility>

#include "chips/kunlun/virtual/bkcl/command.h"
#include "chips/kunlun/virtual/bkcl/reduction.h"
#include "trireme/base/strings.h"

namespace trireme::xpu::bkcl {
namespace {

constexpr std::string_view kPrefix = "/trireme-bkcl-";
constexpr int kTimeoutSeconds = 300;
constexpr size_t kMostElements = size_t{1} << 48;

using Shared = std::shared_ptr<Communicator>;

struct World {
  std::mutex mutex;
  std::map<uint64_t, Shared> communicators;  // by handle; one never comes twice
  uint64_t next = 1;
};

World& world() {
  static auto* world = new World;  // never gone, as that of the runtime
  return *world;
}

struct Queued {
  Shared communicator;
  XPUStream stream;
  Call call;
};

// Of a thread.
thread_local std::string last_error;
thread_local int groups = 0;
thread_local std::vector<Queued> grouped;

BKCLResult_t refuse(BKCLResult_t code, const char* function, const std::string& rule) {
  last_error = cat("bkcl_", function, ": ", rule);
  return code;
}

BKCLResult_t invalid(const char* function, const std::string& rule) {
  return refuse(BKCL_INVALID_ARGUMENT, function, rule);
}

Shared find(BKCLContext_t context) {
  World& all = world();
  std::lock_guard lock(all.mutex);
  const auto found = all.communicators.find(reinterpret_cast<uint64_t>(context));
  return found == all.communicators.end() ? nullptr : found->second;
}

BKCLContext_t publish(std::unique_ptr<Segment> segment, int device, int timeout_s) {
  auto communicator = std::make_shared<Communicator>();
  communicator->segment = std::move(segment);
  communicator->device = device;
  communicator->timeout_s = timeout_s;
  World& all = world();
  std::lock_guard lock(all.mutex);
  all.communicators[all.next] = std::move(communicator);
  return reinterpret_cast<BKCLContext_t>(all.next++);
}

// Seconds; 0 when the variable is no number of them.
int read_timeout() {
  const char* text = std::getenv("XPUSIM_BKCL_TIMEOUT");
  if (!text) return kTimeoutSeconds;
  int seconds = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, seconds);
  return error == std::errc() && stop == end && seconds > 0 ? seconds : 0;
}

constexpr const char* kBadTimeout = "XPUSIM_BKCL_TIMEOUT is no positive number of seconds";

BKCLResult_t make_id(const char* function, BKCLUniqueId* id) {
  unsigned char random[16];
  if (getentropy(random, sizeof random) != 0) return refuse(BKCL_SYSTEM_ERROR, function, "there is no randomness");
  *id = {};
  int length = std::snprintf(id->internal, sizeof id->internal, "%s", kPrefix.data());
  for (const unsigned char byte : random) {
    length += std::snprintf(id->internal + length, sizeof id->internal - length, "%02x", byte);
  }
  return BKCL_SUCCESS;
}

// The name of the shared memory; empty when bkcl_get_unique_id did not make it.
std::string name_of(const BKCLUniqueId& id) {
  const std::string name(id.internal, strnlen(id.internal, sizeof id.internal));
  const bool ours = name.starts_with(kPrefix) && name.size() == kPrefix.size() + 32 &&
                    name.find_first_not_of("0123456789abcdef", kPrefix.size()) == std::string::npos;
  return ours ? name : "";
}

// Waits until all ranks have joined. Returns what went wrong, empty when nothing did.
std::string meet(const Segment& segment, int timeout_s) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::seconds(timeout_s);
  while (!segment.failed() && !segment.complete()) {
    for (int rank = 0; rank < segment.ranks(); ++rank) {
      // One that found all here may have left since.
      if (segment.gone(rank) && !segment.complete())
        segment.fail(cat("rank ", rank, " died or gave up before all had joined"));
    }
    if (Clock::now() > end) {
      segment.fail(cat("rank ", segment.rank(), " of ", segment.ranks(), " waited ", timeout_s,
                       " s (XPUSIM_BKCL_TIMEOUT) and nobody joined as rank ", segment.missing()));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  segment.unlink();
  if (!segment.failed() && !segment.shared_device().empty()) segment.fail(segment.shared_device());
  return segment.failed() ? segment.failure() : "";
}

// Queues calls of one communicator as one command.
BKCLResult_t submit(const char* function, const Shared& communicator, XPUStream stream, std::vector<Call> calls) {
  std::vector<Span> memory;
  for (const Call& call : calls) {
    const auto used = call.memory(communicator->segment->rank(), communicator->segment->ranks());
    memory.insert(memory.end(), used.begin(), used.end());
  }
  const std::string name = cat("bkcl_", function);
  size_t wrong = 0;
  std::lock_guard lock(communicator->queueing);
  const auto command = std::make_shared<Command>(communicator, std::move(calls));
  command->take_number();
  const int code = launch_meeting(
      name, stream, memory,
      [command](const Launch& launch, Effort* effort, std::string* text) {
        return command->advance(launch, effort, text);
      },
      &wrong);
  if (code == 0) return BKCL_SUCCESS;
  command->return_number();
  if (wrong < memory.size()) {
    char address[32];
    std::snprintf(address, sizeof address, "%#llx", static_cast<unsigned long long>(memory[wrong].address));
    return invalid(function, cat(memory[wrong].bytes, " bytes from ", address, " are no memory of the device"));
  }
  return refuse(BKCL_RUNTIME_ERROR, function, xpu_strerror(code));
}

// Checks what all calls have in common, and queues the call or keeps it for its group.
BKCLResult_t enqueue(const char* function, BKCLContext_t context, XPUStream stream, Call call) {
  const Shared communicator = find(context);
  if (!communicator) return invalid(function, "there is no such context, or it was destroyed");
  const Segment& segment = *communicator->segment;
  if (size_of(call.type) == 0) return invalid(function, cat("there is no type ", static_cast<int>(call.type)));
  const bool reduces = call.kind == Kind::kAllReduce || call.kind == Kind::kReduce || call.kind == Kind::kReduceScatter;
  if (reduces && (call.op < 0 || call.op > BKCL_MAX)) return invalid(function, cat("there is no operation ", call.op));
  if (call.count > kMostElements) return invalid(function, cat(call.count, " elements are too many"));
  const auto check_rank = [&](const char* what, int rank) {
    return rank >= 0 && rank < segment.ranks()
               ? BKCL_SUCCESS
               : invalid(function, cat(what, " ", rank, " is no rank; there are ", segment.ranks()));
  };
  const bool rooted = call.kind == Kind::kReduce || call.kind == Kind::kBroadcast;
  if (rooted && check_rank("root", call.root)) return BKCL_INVALID_ARGUMENT;
  for (const Message& message : call.messages) {
    if (check_rank("peer", message.peer)) return BKCL_INVALID_ARGUMENT;
    if (message.count > kMostElements) return invalid(function, cat(message.count, " elements are too many"));
    if (groups == 0 && message.peer == segment.rank()) {
      return invalid(function, cat("a message from rank ", message.peer, " to itself needs a group with both ends"));
    }
  }
  int device = -1;
  if (const int code = xpu_current_device(&device)) return refuse(BKCL_RUNTIME_ERROR, function, xpu_strerror(code));
  if (device != communicator->device) {
    return invalid(function,
                   cat("the context is of device ", communicator->device, ", the current device is ", device));
  }
  if (segment.failed()) return refuse(BKCL_RUNTIME_ERROR, function, segment.failure());
  if (groups > 0) {
    grouped.push_back({communicator, stream, std::move(call)});
    return BKCL_SUCCESS;
  }
  return submit(function, communicator, stream, {std::move(call)});
}

uint64_t address(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

}  // namespace
}  // namespace trireme::xpu::bkcl

using namespace trireme::xpu::bkcl;  // the functions of C stand outside of it
using trireme::cat;

extern "C" {

// ---- communicators

BKCLResult_t bkcl_get_unique_id(BKCLUniqueId* id) {
  return id ? make_id("get_unique_id", id) : invalid("get_unique_id", "the id is null");
}

BKCLResult_t bkcl_init_rank(BKCLContext_t* context, int rank, int nranks, const BKCLUniqueId* id) {
  const char* function = "init_rank";
  if (!context || !id) return invalid(function, "the context or the id is null");
  if (nranks < 1 || nranks > kMaxRanks) return invalid(function, cat(nranks, " ranks; 1 to ", kMaxRanks, " can be"));
  if (rank < 0 || rank >= nranks) return invalid(function, cat("rank ", rank, " of ", nranks));
  if (groups > 0) return invalid(function, "a group cannot wait for other ranks; see bkcl_comm_init_all");
  const std::string name = name_of(*id);
  if (name.empty()) return invalid(function, "the id is none of bkcl_get_unique_id");
  const int timeout_s = read_timeout();
  if (timeout_s == 0) return invalid(function, kBadTimeout);
  int device = -1;
  if (const int code = xpu_current_device(&device)) return refuse(BKCL_RUNTIME_ERROR, function, xpu_strerror(code));
  std::string error;
  auto segment = Segment::join(name, rank, nranks, device, &error);
  if (!segment) return refuse(BKCL_SYSTEM_ERROR, function, error);
  error = meet(*segment, timeout_s);
  if (!error.empty()) return refuse(BKCL_RUNTIME_ERROR, function, error);
  *context = publish(std::move(segment), device, timeout_s);
  return BKCL_SUCCESS;
}

BKCLResult_t bkcl_comm_init_all(BKCLContext_t* contexts, int count, const int* devices) {
  const char* function = "comm_init_all";
  if (!contexts) return invalid(function, "the contexts are null");
  if (count < 1 || count > kMaxRanks) return invalid(function, cat(count, " ranks; 1 to ", kMaxRanks, " can be"));
  int visible = 0;
  if (const int code = xpu_device_count(&visible)) return refuse(BKCL_RUNTIME_ERROR, function, xpu_strerror(code));
  const int timeout_s = read_timeout();
  if (timeout_s == 0) return invalid(function, kBadTimeout);
  const auto device_of = [&](int rank) { return devices ? devices[rank] : rank; };
  std::set<int> used;
  for (int rank = 0; rank < count; ++rank) {
    const int device = device_of(rank);
    if (device < 0 || device >= visible) return invalid(function, cat("device ", device, "; there are ", visible));
    if (!used.insert(device).second) return invalid(function, cat("two ranks are on device ", device));
  }
  BKCLUniqueId id;
  if (const BKCLResult_t code = make_id(function, &id)) return code;
  std::vector<std::unique_ptr<Segment>> segments;
  std::string error;
  for (int rank = 0; rank < count && error.empty(); ++rank) {
    segments.push_back(Segment::join(id.internal, rank, count, device_of(rank), &error));
  }
  if (segments[0]) segments[0]->unlink();
  if (!error.empty()) return refuse(BKCL_SYSTEM_ERROR, function, error);
  for (int rank = 0; rank < count; ++rank) {
    contexts[rank] = publish(std::move(segments[rank]), device_of(rank), timeout_s);
  }
  return BKCL_SUCCESS;
}

BKCLResult_t bkcl_destroy_context(BKCLContext_t context) {
  World& all = world();
  Shared last;  // ends outside of the lock
  {
    std::lock_guard lock(all.mutex);
    const auto found = all.communicators.find(reinterpret_cast<uint64_t>(context));
    if (found == all.communicators.end()) {
      return invalid("destroy_context", "there is no such context, or it was destroyed");
    }
    last = std::move(found->second);
    all.communicators.erase(found);
  }
  return BKCL_SUCCESS;
}

BKCLResult_t bkcl_comm_abort(BKCLContext_t context) {
  const Shared communicator = find(context);
  if (!communicator) return invalid("comm_abort", "there is no such context, or it was destroyed");
  communicator->segment->fail(cat("rank ", communicator->segment->rank(), " aborted"));
  return BKCL_SUCCESS;
}

BKCLResult_t bkcl_comm_count(BKCLContext_t context, int* count) {
  const Shared communicator = find(context);
  if (!communicator || !count) return invalid("comm_count", "there is no such context, or the count is null");
  *count = communicator->segment->ranks();
  return BKCL_SUCCESS;
}

BKCLResult_t bkcl_comm_user_rank(BKCLContext_t context, int* rank) {
  const Shared communicator = find(context);
  if (!communicator || !rank) return invalid("comm_user_rank", "there is no such context, or the rank is null");
  *rank = communicator->segment->rank();
  return BKCL_SUCCESS;
}

// ---- collectives

BKCLResult_t bkcl_all_reduce(BKCLContext_t context, const void* send, void* recv, size_t count, BKCLDataType type,
                             BKCLOp op, XPUStream stream) {
  Call call{.kind = Kind::kAllReduce, .type = type, .op = op, .count = count};
  call.send = address(send), call.recv = address(recv);
  return enqueue("all_reduce", context, stream, std::move(call));
}

BKCLResult_t bkcl_reduce(BKCLContext_t context, const void* send, void* recv, size_t count, BKCLDataType type,
                         BKCLOp op, int root, XPUStream stream) {
  Call call{.kind = Kind::kReduce, .type = type, .op = op, .root = root, .count = count};
  call.send = address(send), call.recv = address(recv);
  return enqueue("reduce", context, stream, std::move(call));
}

BKCLResult_t bkcl_broadcast(BKCLContext_t context, const void* send, void* recv, size_t count, BKCLDataType type,
                            int root, XPUStream stream) {
  Call call{.kind = Kind::kBroadcast, .type = type, .root = root, .count = count};
  call.send = address(send), call.recv = address(recv);
  return enqueue("broadcast", context, stream, std::move(call));
}

BKCLResult_t bkcl_all_gather(BKCLContext_t context, const void* send, size_t send_count, void* recv, BKCLDataType type,
                             XPUStream stream) {
  Call call{.kind = Kind::kAllGather, .type = type, .count = send_count};
  call.send = address(send), call.recv = address(recv);
  return enqueue("all_gather", context, stream, std::move(call));
}

BKCLResult_t bkcl_reduce_scatter(BKCLContext_t context, const void* send, void* recv, size_t recv_count,
                                 BKCLDataType type, BKCLOp op, XPUStream stream) {
  Call call{.kind = Kind::kReduceScatter, .type = type, .op = op, .count = recv_count};
  call.send = address(send), call.recv = address(recv);
  return enqueue("reduce_scatter", context, stream, std::move(call));
}

BKCLResult_t bkcl_all_to_all(BKCLContext_t context, const void* send, size_t count, void* recv, BKCLDataType type,
                             XPUStream stream) {
  Call call{.kind = Kind::kAllToAll, .type = type, .count = count};
  call.send = address(send), call.recv = address(recv);
  return enqueue("all_to_all", context, stream, std::move(call));
}

BKCLResult_t bkcl_all_to_all_v(BKCLContext_t context, const void* send, const size_t* send_counts,
                               const size_t* send_offsets, BKCLDataType send_type, void* recv,
                               const size_t* recv_counts, const size_t* recv_offsets, BKCLDataType recv_type,
                               XPUStream stream) {
  if (send_type != recv_type) return invalid("all_to_all_v", "the types of what is sent and received differ");
  Call call{.kind = Kind::kAllToAllV, .type = send_type};
  call.send = address(send), call.recv = address(recv);
  call.send_counts = address(send_counts), call.send_offsets = address(send_offsets);
  call.recv_counts = address(recv_counts), call.recv_offsets = address(recv_offsets);
  return enqueue("all_to_all_v", context, stream, std::move(call));
}

// ---- messages

BKCLResult_t bkcl_send(BKCLContext_t context, const void* send, size_t count, int peer, BKCLDataType type,
                       XPUStream stream) {
  Call call{.kind = Kind::kMessage, .type = type};
  call.messages = {{true, peer, address(send), count, type}};
  return enqueue("send", context, stream, std::move(call));
}

BKCLResult_t bkcl_recv(BKCLContext_t context, void* recv, size_t count, int peer, BKCLDataType type, XPUStream stream) {
  Call call{.kind = Kind::kMessage, .type = type};
  call.messages = {{false, peer, address(recv), count, type}};
  return enqueue("recv", context, stream, std::move(call));
}

BKCLResult_t bkcl_group_start(void) {
  ++groups;
  return BKCL_SUCCESS;
}

BKCLResult_t bkcl_group_end(void) {
  const char* function = "group_end";
  if (groups == 0) return invalid(function, "there is no group; bkcl_group_start begins one");
  if (--groups > 0) return BKCL_SUCCESS;
  auto rest = std::exchange(grouped, {});
  int current = -1;
  if (!rest.empty()) xpu_current_device(&current);
  BKCLResult_t result = BKCL_SUCCESS;
  while (!rest.empty()) {
    const Shared communicator = rest[0].communicator;
    const XPUStream stream = rest[0].stream;
    std::vector<Call> calls;
    Call messages{.kind = Kind::kMessage};
    std::vector<Queued> others;
    for (Queued& queued : rest) {
      if (queued.communicator != communicator || queued.stream != stream) {
        others.push_back(std::move(queued));
      } else if (queued.call.kind == Kind::kMessage) {
        messages.messages.push_back(queued.call.messages[0]);
      } else {
        calls.push_back(std::move(queued.call));
      }
    }
    if (!messages.messages.empty()) calls.push_back(std::move(messages));
    xpu_set_device(communicator->device);
    const BKCLResult_t code = submit(function, communicator, stream, std::move(calls));
    if (result == BKCL_SUCCESS) result = code;
    rest = std::move(others);
  }
  if (current >= 0) xpu_set_device(current);
  return result;
}

const char* bkcl_last_error(void) { return last_error.c_str(); }

}  // extern "C"
