#include "chips/kunlun/virtual/bkcl/command.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <cstring>
#include <utility>

#include "chips/kunlun/virtual/bkcl/reduction.h"
#include "trireme/base/strings.h"

namespace trireme::xpu::bkcl {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kLook = std::chrono::milliseconds(10);  // between looks at whether the others live

bool overlap(const Span& one, const Span& other) {
  return one.address < other.address + other.bytes && other.address < one.address + one.bytes;
}

// The block of the elements of an all_reduce that rank `i` reduces: its first and its count.
std::pair<uint64_t, uint64_t> block_of(uint64_t count, int ranks, int i) {
  const uint64_t most = count / ranks + (count % ranks != 0);
  const uint64_t begin = std::min(count, most * i);
  return {begin, std::min(count, begin + most) - begin};
}

Ask ask_of(const Call& call) {
  return {call.kind, static_cast<uint32_t>(call.type), call.op, call.root, call.count, 0};
}

}  // namespace

std::string Call::text() const {
  if (kind != Kind::kMessage) return ask_of(*this).text();
  return cat(messages.size(), messages.size() == 1 ? " message" : " messages");
}

std::vector<Span> Call::memory(int rank, int ranks) const {
  const uint64_t bytes = count * size_of(type), all = bytes * ranks;
  std::vector<Span> spans;
  const auto add = [&](uint64_t address, uint64_t size) {
    if (size > 0) spans.push_back({address, size});
  };
  switch (kind) {
    case Kind::kAllReduce: add(send, bytes), add(recv, bytes); break;
    case Kind::kReduce: add(send, bytes), add(recv, rank == root ? bytes : 0); break;
    case Kind::kBroadcast: add(send, rank == root ? bytes : 0), add(recv, bytes); break;
    case Kind::kAllGather: add(send, bytes), add(recv, all); break;
    case Kind::kReduceScatter: add(send, all), add(recv, bytes); break;
    case Kind::kAllToAll: add(send, all), add(recv, all); break;
    case Kind::kAllToAllV:
      for (const uint64_t list : {send_counts, send_offsets, recv_counts, recv_offsets}) {
        add(list, sizeof(size_t) * ranks);
      }
      break;
    case Kind::kMessage:
      for (const Message& message : messages) add(message.address, message.count * size_of(message.type));
      break;
  }
  return spans;
}

Command::Command(std::shared_ptr<Communicator> communicator, std::vector<Call> calls)
    : communicator_(std::move(communicator)), calls_(std::move(calls)) {}

Command::~Command() {
  if (!pending_) return;
  communicator_->segment->fail(
      cat("rank ", rank(), " dropped ", calls_[call_].text(), ": its device failed or was reset"));
}

void Command::take_number() {
  number_ = communicator_->queued++;
  pending_ = true;
}

void Command::return_number() {
  --communicator_->queued;
  pending_ = false;
}

int Command::advance(const Launch& launch, Effort* effort, std::string* text) {
  Segment& segment = *communicator_->segment;
  const auto fail = [&](const std::string& why) {
    segment.fail(why);  // of use only when none failed before
    *text = cat("BKCL: ", segment.failure());
    pending_ = false;
    return XPUERR_DMAABORT;
  };
  if (segment.failed()) return fail("");
  if (communicator_->finished.load() != number_) return kStuck;
  if (now_ns_ < 0) {
    now_ns_ = effort->begin_ns;
    moved_ = looked_ = Clock::now();
  }
  bool moved = false;
  try {
    for (; call_ < calls_.size(); ++call_, phase_ = -1) {
      if (phase_ < 0) begin(launch);
      do {
        while (move(launch)) moved = true;
        if (!finished()) {
          if (moved) {
            moved_ = Clock::now();
            suspect_ = -1;
            return kMoved;
          }
          check_patience();
          return kStuck;
        }
      } while (next_phase(launch));
    }
  } catch (const Broken& broken) {
    return fail(broken.text);
  }
  effort->begin_ns = now_ns_;
  pending_ = false;
  communicator_->finished.store(number_ + 1);
  return 0;
}

bool Command::finished() const {
  return reduction_.done == reduction_.bytes &&
         std::all_of(flows_.begin(), flows_.end(), [](const Flow& flow) { return flow.finished(); });
}

// ---- what a call does

std::byte* Command::find(const Launch& launch, const Place& place, uint64_t bytes) const {
  if (place.copy) return place.copy;
  std::byte* found = launch.memory(place.address, bytes);
  if (!found) {
    throw Broken{cat("rank ", rank(), ": ", calls_[call_].text(), " reaches beyond memory, or the memory was freed")};
  }
  return found;
}

Command::Flow Command::flow(bool out, int peer, Place place, uint64_t bytes) const {
  return {.out = out, .peer = peer, .ask = {}, .place = place, .bytes = bytes, .state = Flow::kPieces};
}

void Command::begin(const Launch& launch) {
  phase_ = 0;
  flows_.clear();
  reduction_ = {};
  copy_.clear();
  calls_[call_].kind == Kind::kMessage ? begin_messages() : begin_collective(launch);
}

void Command::begin_messages() {
  for (const Message& message : calls_[call_].messages) {
    Flow made = flow(message.out, message.peer, {message.address}, message.count * size_of(message.type));
    made.ask = {Kind::kMessage, static_cast<uint32_t>(message.type), -1, -1, message.count, now_ns_};
    made.state = Flow::kNew;
    flows_.push_back(made);
  }
}

// First all ranks say to all others what they ask for, both ways.
void Command::begin_collective(const Launch& launch) {
  const Call& call = calls_[call_];
  if (call.kind == Kind::kAllToAllV) {
    const auto read = [&](uint64_t address) {
      std::vector<uint64_t> values(ranks());
      std::memcpy(values.data(), find(launch, {address}, sizeof(uint64_t) * ranks()), sizeof(uint64_t) * ranks());
      return values;
    };
    send_counts_ = read(call.send_counts);
    send_offsets_ = read(call.send_offsets);
    recv_counts_ = read(call.recv_counts);
    recv_offsets_ = read(call.recv_offsets);
    for (const auto* values : {&send_counts_, &send_offsets_, &recv_counts_, &recv_offsets_}) {
      for (const uint64_t value : *values) {
        if (value >> 48) throw Broken{cat("rank ", rank(), ": all_to_all_v has the count or offset ", value)};
      }
    }
  }
  for (int peer = 0; peer < ranks(); ++peer) {
    for (const bool out : {true, false}) {
      Flow made = flow(out, peer, {}, 0);
      made.ask = ask_of(call);
      made.ask.ready_ns = now_ns_;
      if (call.kind == Kind::kAllToAllV) made.ask.count = (out ? send_counts_ : recv_counts_)[peer];
      made.state = Flow::kNew;
      flows_.push_back(made);
    }
  }
}

bool Command::next_phase(const Launch& launch) {
  const Call& call = calls_[call_];
  if (phase_ == 0) {
    if (call.kind != Kind::kMessage) compare_all();
    for (const Flow& flow : flows_) now_ns_ = std::max(now_ns_, flow.heard.ready_ns);
  }
  const int phases = call.kind == Kind::kMessage ? 1 : call.kind == Kind::kAllReduce ? 3 : 2;
  if (++phase_ == phases) {
    now_ns_ += cost_ns(launch);
    return false;
  }
  flows_.clear();
  reduction_ = {};
  if (phase_ == 1) {
    // What is sent must stay as it is while results come.
    const uint64_t bytes = call.count * size_of(call.type), all = bytes * ranks();
    uint64_t sent = call.kind == Kind::kReduceScatter || call.kind == Kind::kAllToAll ? all : bytes;
    uint64_t received = call.kind == Kind::kAllGather || call.kind == Kind::kAllToAll ? all : bytes;
    if (call.kind == Kind::kAllToAllV) {
      sent = received = 0;
      for (int i = 0; i < ranks(); ++i) {
        sent = std::max(sent, (send_counts_[i] + send_offsets_[i]) * size_of(call.type));
        received = std::max(received, (recv_counts_[i] + recv_offsets_[i]) * size_of(call.type));
      }
    }
    const bool sends = call.root < 0 || call.kind == Kind::kReduce || call.root == rank();
    if (sends && sent > 0 && overlap({call.send, sent}, {call.recv, received})) {
      const std::byte* from = find(launch, {call.send}, sent);
      copy_.assign(from, from + sent);
    }
  }
  exchange(call);
  return true;
}

void Command::exchange(const Call& call) {
  const size_t size = size_of(call.type);
  const uint64_t bytes = call.count * size;
  const Place send{call.send, copy_.empty() ? nullptr : copy_.data()}, recv{call.recv};
  const auto to = [&](int peer, const Place& place, uint64_t size) { flows_.push_back(flow(true, peer, place, size)); };
  const auto from = [&](int peer, const Place& place, uint64_t size) {
    flows_.push_back(flow(false, peer, place, size));
  };
  if (call.kind == Kind::kReduce) {
    if (rank() == call.root) {
      reduction_ = {send, recv, bytes};
    } else {
      to(call.root, send, bytes);
    }
    return;
  }
  if (call.kind == Kind::kBroadcast && rank() != call.root) return from(call.root, recv, bytes);
  const auto [own_begin, own_count] = block_of(call.count, ranks(), rank());
  for (int peer = 0; peer < ranks(); ++peer) {
    const auto [begin, count] = block_of(call.count, ranks(), peer);
    switch (call.kind) {
      case Kind::kBroadcast: to(peer, send, bytes); break;
      case Kind::kAllReduce:
        if (peer == rank()) break;
        if (phase_ == 1) {
          to(peer, send.at(begin * size), count * size);
        } else {
          to(peer, recv.at(own_begin * size), own_count * size);
          from(peer, recv.at(begin * size), count * size);
        }
        break;
      case Kind::kReduceScatter:
        if (peer != rank()) to(peer, send.at(bytes * peer), bytes);
        break;
      case Kind::kAllGather:
        to(peer, send, bytes);
        from(peer, recv.at(bytes * peer), bytes);
        break;
      case Kind::kAllToAll:
        to(peer, send.at(bytes * peer), bytes);
        from(peer, recv.at(bytes * peer), bytes);
        break;
      case Kind::kAllToAllV:
        to(peer, send.at(send_offsets_[peer] * size), send_counts_[peer] * size);
        from(peer, recv.at(recv_offsets_[peer] * size), recv_counts_[peer] * size);
        break;
      default: break;
    }
  }
  if (call.kind == Kind::kBroadcast) from(rank(), recv, bytes);
  if (call.kind == Kind::kReduceScatter) reduction_ = {send.at(bytes * rank()), recv, bytes};
  if (call.kind == Kind::kAllReduce && phase_ == 1) {
    reduction_ = {send.at(own_begin * size), recv.at(own_begin * size), own_count * size};
  }
}

double Command::cost_ns(const Launch& launch) const {
  const Generation& generation = launch.generation;
  const double rate = generation.card_gbps > 0 ? generation.card_gbps : generation.host_gbps;
  const double latency = launch.costs.link_latency, n = ranks();
  const Call& call = calls_[call_];
  const double bytes = static_cast<double>(call.count * size_of(call.type));
  double steps = n - 1, moved = 0;  // bytes over the link of this card, one way
  switch (call.kind) {
    case Kind::kAllReduce:
      steps = 2 * (n - 1);
      moved = 2 * (n - 1) / n * bytes;
      break;
    case Kind::kReduce:
    case Kind::kBroadcast: moved = n > 1 ? bytes : 0; break;
    case Kind::kAllGather:
    case Kind::kReduceScatter:
    case Kind::kAllToAll: moved = (n - 1) * bytes; break;
    case Kind::kAllToAllV:
    case Kind::kMessage: {
      double both[2] = {};
      std::bitset<kMaxRanks> peers;
      for (const Flow& flow : flows_) {
        if (flow.peer == rank()) continue;
        both[flow.out] += static_cast<double>(flow.bytes);
        peers.set(flow.peer);
      }
      steps = static_cast<double>(peers.count());
      moved = std::max(both[0], both[1]);
    }
  }
  return launch.costs.launch + moved / rate + steps * latency;
}

// ---- how bytes move

bool Command::move(const Launch& launch) {
  bool moved = move(launch, reduction_);
  std::bitset<kMaxRanks> busy[2];  // a channel takes one flow after the other
  for (Flow& flow : flows_) {
    if (busy[flow.out].test(flow.peer)) continue;
    moved |= move(launch, flow);
    if (!flow.finished()) busy[flow.out].set(flow.peer);
  }
  return moved;
}

bool Command::move(const Launch& launch, Flow& flow) {
  if (flow.finished()) return false;
  const Segment& segment = *communicator_->segment;
  const int from = flow.out ? rank() : flow.peer, to = flow.out ? flow.peer : rank();
  Channel& channel = segment.channel(from, to);
  // Pointers: with -fsanitize=undefined, g++ 12 takes (out ? asks : answers)[i] = ask for a write to a copy.
  Ask* mine = flow.out ? channel.asks : channel.answers;
  const Ask* theirs = flow.out ? channel.answers : channel.asks;
  bool moved = false;
  if (flow.state == Flow::kNew) {
    auto& begun = flow.out ? channel.asked : channel.answered;
    flow.number = begun.load(std::memory_order_relaxed);
    mine[flow.number % 2] = flow.ask;
    begun.store(flow.number + 1, std::memory_order_release);
    flow.state = Flow::kAsked;
    moved = true;
  }
  if (flow.state == Flow::kAsked) {
    const auto& begun = flow.out ? channel.answered : channel.asked;
    if (begun.load(std::memory_order_acquire) <= flow.number) return moved;
    flow.heard = theirs[flow.number % 2];
    flow.state = Flow::kAnswered;
    if (calls_[call_].kind == Kind::kMessage) compare_messages(flow);
    moved = true;
  }
  if (flow.state != Flow::kPieces) return moved;
  while (flow.done < flow.bytes) {
    const uint64_t posted = channel.posted.load(std::memory_order_acquire);
    const uint64_t taken = channel.taken.load(std::memory_order_acquire);
    if ((posted == taken) != flow.out) break;
    const uint64_t bytes = std::min<uint64_t>(segment.piece_bytes(), flow.bytes - flow.done);
    std::byte* memory = find(launch, flow.place.at(flow.done), bytes);
    std::byte* piece = segment.piece(from, to);
    if (flow.out) {
      std::memcpy(piece, memory, bytes);
      channel.posted.store(posted + 1, std::memory_order_release);
    } else {
      std::memcpy(memory, piece, bytes);
      channel.taken.store(taken + 1, std::memory_order_release);
    }
    flow.done += bytes;
    moved = true;
  }
  return moved;
}

bool Command::move(const Launch& launch, Reduction& reduction) {
  const Segment& segment = *communicator_->segment;
  const Call& call = calls_[call_];
  bool moved = false;
  while (reduction.done < reduction.bytes) {
    const uint64_t bytes = std::min<uint64_t>(segment.piece_bytes(), reduction.bytes - reduction.done);
    std::array<const std::byte*, kMaxRanks> sources;
    for (int peer = 0; peer < ranks(); ++peer) {
      if (peer == rank()) {
        sources[peer] = find(launch, reduction.own.at(reduction.done), bytes);
        continue;
      }
      const Channel& channel = segment.channel(peer, rank());
      if (channel.posted.load(std::memory_order_acquire) == channel.taken.load(std::memory_order_relaxed)) return moved;
      sources[peer] = segment.piece(peer, rank());
    }
    reduce(call.type, static_cast<BKCLOp>(call.op), {sources.data(), static_cast<size_t>(ranks())},
           bytes / size_of(call.type), find(launch, reduction.to.at(reduction.done), bytes));
    for (int peer = 0; peer < ranks(); ++peer) {
      if (peer != rank()) segment.channel(peer, rank()).taken.fetch_add(1, std::memory_order_release);
    }
    reduction.done += bytes;
    moved = true;
  }
  return moved;
}

// ---- what goes wrong

void Command::compare_messages(Flow& flow) const {
  flow.state = Flow::kPieces;
  if (flow.ask.fits(flow.heard)) return;
  const auto wish = [&](const Ask& ask, bool out, int other) {
    return ask.kind == Kind::kMessage ? cat(out ? "to send rank " : "to receive from rank ", other, " ", ask.text())
                                      : ask.text();
  };
  throw Broken{cat("the ranks ask for different things: rank ", rank(), " asks ", wish(flow.ask, flow.out, flow.peer),
                   "; rank ", flow.peer, " asks ", wish(flow.heard, !flow.out, rank()))};
}

void Command::compare_all() const {
  const bool varies = calls_[call_].kind == Kind::kAllToAllV;
  std::string wishes;
  bool fit = true;
  for (const Flow& flow : flows_) {
    if (!flow.ask.fits(flow.heard)) {
      fit = false;
      if (varies && flow.heard.kind == Kind::kAllToAllV) {
        const int from = flow.out ? rank() : flow.peer, to = flow.out ? flow.peer : rank();
        throw Broken{cat("the ranks ask for different things: rank ", from, " asks to send rank ", to, " ",
                         (flow.out ? flow.ask : flow.heard).text(), "; rank ", to, " asks to receive from rank ", from,
                         " ", (flow.out ? flow.heard : flow.ask).text())};
      }
    }
    if (!flow.out) wishes += cat(wishes.empty() ? "" : "; ", "rank ", flow.peer, " asks ", flow.heard.text());
  }
  if (!fit) throw Broken{"the ranks ask for different things: " + wishes};
}

void Command::check_patience() {
  const Segment& segment = *communicator_->segment;
  const auto now = Clock::now();
  if (suspect_ >= 0) {
    throw Broken{
        cat("rank ", suspect_, " died or left before ", calls_[call_].text(), " of rank ", rank(), " was done")};
  }
  if (now - looked_ < kLook) return;
  looked_ = now;
  std::string awaited;
  std::bitset<kMaxRanks> seen;
  const auto look = [&](int peer) {
    if (seen.test(peer)) return;
    seen.set(peer);
    if (segment.gone(peer)) suspect_ = peer;
    awaited += cat(awaited.empty() ? "" : ", ", peer);
  };
  for (const Flow& flow : flows_) {
    if (!flow.finished()) look(flow.peer);
  }
  for (int peer = 0; peer < ranks() && reduction_.done < reduction_.bytes; ++peer) {
    if (peer != rank()) look(peer);
  }
  if (now - moved_ < std::chrono::seconds(communicator_->timeout_s)) return;
  throw Broken{cat("rank ", rank(), " waited ", communicator_->timeout_s, " s in ", calls_[call_].text(), " for rank ",
                   awaited, " (XPUSIM_BKCL_TIMEOUT)")};
}

}  // namespace trireme::xpu::bkcl
