#include "device.h"

#include <algorithm>
#include <chrono>

#include "trireme/base/strings.h"
#include "trireme/chip/chip.hpp"

namespace trireme::refchip {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw chip::Failure(TRM_INVALID, what); }

}  // namespace

Device::Device(uint32_t index, Persona persona, const TrmHost* host, std::shared_ptr<Memory> memory,
               std::string build_id)
    : index_(index),
      persona_(std::move(persona)),
      host_(host),
      memory_(std::move(memory)),
      build_id_(std::move(build_id)),
      faults_(persona_.faults) {
  own_ = make_stream();
}

Device::~Device() {
  {
    Lock lock(mutex_);
    closing_ = true;
    changed_.notify_all();
  }
  streams_.push_back(std::move(own_));
  for (const auto& stream : streams_) {
    if (stream->worker.joinable()) stream->worker.join();
  }
  memory_->free_all(this);
}

std::shared_ptr<Stream> Device::make_stream() {
  auto stream = std::make_shared<Stream>();
  stream->number = static_cast<uint32_t>(next_stream_++);
  stream->random.seed(persona_.seed * 1000003 + index_ * 1009 + stream->number);
  stream->now_ns = host_ns_;
  if (!persona_.synchronous) stream->worker = std::thread([this, s = stream.get()] { work(*s); });
  return stream;
}

// ---- memory ------------------------------------------------------------------------------------------------------

TrmMem Device::alloc(uint32_t space, uint64_t bytes) {
  Lock lock(mutex_);
  const bool known = space == kDeviceSpace || (space == kPinnedSpace && persona_.pinned_bytes);
  if (!known) refuse(cat("chunk_alloc in space ", space, ": the device has no such space"));
  ++allocations_;
  for (PlannedFault& fault : faults_) {
    if (fault.kind != TRM_FAULT_OUT_OF_MEMORY || fault.count == 0 || allocations_ < fault.command) continue;
    --fault.count;
    throw chip::Failure(TRM_OUT_OF_MEMORY, cat("provoked: allocation ", allocations_, " of ", bytes, " bytes fails"));
  }
  const uint64_t total = space == kDeviceSpace ? persona_.memory_bytes : persona_.pinned_bytes;
  const uint64_t used = memory_->usage(this, space).bytes;
  if (bytes > total - std::min(used, total)) {
    throw chip::Failure(TRM_OUT_OF_MEMORY, cat("chunk_alloc of ", bytes, " bytes: ", total - std::min(used, total),
                                               " of ", total, " bytes are free"));
  }
  return memory_->alloc(this, space, bytes);
}

void Device::free(const TrmMem& mem) { memory_->free(this, mem); }

Place Device::place(const TrmMem& mem, const Extent& extent) const {
  Place place = memory_->find(mem, extent);
  if (place.chunk && place.chunk->owner() != this && persona_.withholds("peer_access")) {
    refuse("memory of another device, and this chip has no peer access; copy through the host");
  }
  return place;
}

void Device::mem_info(uint32_t space, uint64_t* free_bytes, uint64_t* total_bytes) {
  if (space != kDeviceSpace && !(space == kPinnedSpace && persona_.pinned_bytes)) {
    refuse(cat("mem_info of space ", space, ": the device has no such space"));
  }
  *total_bytes = space == kDeviceSpace ? persona_.memory_bytes : persona_.pinned_bytes;
  *free_bytes = *total_bytes - std::min(*total_bytes, memory_->usage(this, space).bytes);
}

void Device::reset() {
  Lock lock(mutex_);
  drain_all(lock);
  lost_ = nullptr;
  own_->failure = nullptr;
  faults_.clear();
  memory_->scramble(this);
}

// ---- streams -----------------------------------------------------------------------------------------------------

StreamCall::StreamCall(std::shared_ptr<Stream> stream, bool exclusive)
    : stream_(std::move(stream)), exclusive_(exclusive) {
  if (exclusive && stream_->called.exchange(true)) {
    refuse(cat("a call on stream ", stream_->number, " while another thread's call on it has not returned"));
  }
}

StreamCall::~StreamCall() {
  if (exclusive_) stream_->called = false;
}

StreamCall Device::stream(const void* given) {
  Lock lock(mutex_);
  if (!given) return {own_, false};
  for (const auto& stream : streams_) {
    if (stream.get() == given) return {stream, true};
  }
  refuse("the stream is not one of this device (or was destroyed)");
}

Stream* Device::create_stream() {
  Lock lock(mutex_);
  streams_.push_back(make_stream());
  return streams_.back().get();
}

void Device::destroy_stream(Stream& stream) {
  std::shared_ptr<Stream> gone;
  {
    Lock lock(mutex_);
    if (&stream == own_.get()) refuse("the device's own queue cannot be destroyed");
    drain(stream, lock);
    stream.stopping = true;
    changed_.notify_all();
    const auto found =
        std::find_if(streams_.begin(), streams_.end(), [&](const auto& s) { return s.get() == &stream; });
    gone = std::move(*found);
    streams_.erase(found);
  }
  if (gone->worker.joinable()) gone->worker.join();
}

void Device::submit(Stream& stream, Command command) {
  Lock lock(mutex_);
  if (stream.capturing) {
    if (!command.work) refuse("events cannot be captured; record them before or after the replay");
    stream.captured.push_back(std::move(command));
    return;
  }
  for (const auto& chunk : command.uses) ++chunk->users;
  command.issued_ns = host_ns_;
  if (persona_.synchronous) {
    execute(stream, command, lock);
    report(stream, false);  // the call returns the failure of its command
    return;
  }
  stream.queue.push_back(std::move(command));
  changed_.notify_all();
}

void Device::work(Stream& stream) {
  Lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return closing_ || stream.stopping || !stream.queue.empty(); });
    if (closing_ || stream.queue.empty()) return;
    Command command = std::move(stream.queue.front());
    stream.queue.pop_front();
    stream.running = true;
    execute(stream, command, lock);
    stream.running = false;
    changed_.notify_all();
  }
}

// Called with the lock held; lets go of it while the command works.
void Device::execute(Stream& stream, Command& command, Lock& lock) {
  if (command.record) {
    command.record->done = true;
    command.record->time_ns = stream.now_ns = std::max(stream.now_ns, command.issued_ns);
    command.record->failure = lost_ ? lost_ : stream.failure;
    return;
  }
  if (command.wait) {
    changed_.wait(lock, [&] { return closing_ || command.wait->done; });
    stream.now_ns = std::max({stream.now_ns, command.issued_ns, command.wait->time_ns});
    if (!stream.failure) stream.failure = command.wait->failure;
    return;
  }
  stream.last_tag = command.tag;
  ++commands_;
  if (!stream.failure && !lost_) stream.failure = provoked(command);
  if (!stream.failure && !lost_) {
    const uint64_t delay_us = persona_.max_delay_us ? stream.random() % (persona_.max_delay_us + 1) : 0;
    std::string error;
    lock.unlock();
    if (delay_us) std::this_thread::sleep_for(std::chrono::microseconds(delay_us));
    try {
      command.work();
    } catch (const std::exception& e) {
      error = cat(command.name, ": ", e.what());
    }
    lock.lock();
    const double begin = std::max(stream.now_ns, command.issued_ns);
    stream.now_ns = begin + command.cost_ns;
    if (!error.empty()) stream.failure = make_fault(TRM_FAULT, command.tag, error);
    if (tracing_ && host_ && host_->trace_emit) {
      TrmTraceRow row{};
      row.struct_size = sizeof row;
      row.device = index_;
      row.tag = command.tag;
      row.begin_ns = static_cast<uint64_t>(begin);
      row.end_ns = static_cast<uint64_t>(stream.now_ns);
      row.name = command.name.c_str();
      row.stream = &stream == own_.get() ? nullptr : reinterpret_cast<TrmStream*>(&stream);
      host_->trace_emit(&row);
    }
  }
  for (const auto& chunk : command.uses) --chunk->users;
}

void Device::drain(Stream& stream, Lock& lock) {
  changed_.wait(lock, [&] { return stream.queue.empty() && !stream.running; });
}

void Device::drain_all(Lock& lock) {
  drain(*own_, lock);
  const auto streams = streams_;  // another thread may destroy one meanwhile
  for (const auto& stream : streams) drain(*stream, lock);
}

bool Device::idle(const Stream& stream) {
  Lock lock(mutex_);
  if (!stream.queue.empty() || stream.running) return false;
  report(lost_ ? lost_ : stream.failure, stream.last_tag, false);
  return true;
}

void Device::sync(Stream& stream) {
  Lock lock(mutex_);
  drain(stream, lock);
  host_ns_ = std::max(host_ns_, stream.now_ns);
  report(stream, true);
}

void Device::sync() {
  Lock lock(mutex_);
  drain_all(lock);
  Stream* first = own_.get();
  host_ns_ = std::max(host_ns_, own_->now_ns);
  for (const auto& stream : streams_) {
    host_ns_ = std::max(host_ns_, stream->now_ns);
    if (stream->failure && (!first->failure || stream->failure->order < first->failure->order)) first = stream.get();
  }
  report(*first, true);
}

void Device::status(Stream& stream) {
  Lock lock(mutex_);
  report(stream, false);
}

// ---- events ------------------------------------------------------------------------------------------------------

Event* Device::create_event() {
  Lock lock(mutex_);
  events_.push_back(std::make_unique<Event>());
  return events_.back().get();
}

void Device::destroy_event(Event* event) {
  Lock lock(mutex_);
  const auto found = std::find_if(events_.begin(), events_.end(), [&](const auto& e) { return e.get() == event; });
  if (found == events_.end()) refuse("event_destroy of something that is not an event of this device");
  events_.erase(found);
}

void Device::record(Event& event, Stream& stream) {
  Command command;
  command.record = std::make_shared<Mark>();
  auto mark = command.record;
  submit(stream, std::move(command));
  Lock lock(mutex_);
  event.mark = mark;
}

void Device::wait(Event& event, Stream& stream) {
  Command command;
  {
    Lock lock(mutex_);
    command.wait = event.mark;
  }
  if (command.wait) submit(stream, std::move(command));  // never recorded: nothing to wait for
}

bool Device::done(const Event& event) {
  Lock lock(mutex_);
  if (!event.mark) return true;
  if (!event.mark->done) return false;
  report(event.mark->failure, 0, false);
  return true;
}

void Device::sync(Event& event) {
  Lock lock(mutex_);
  const std::shared_ptr<Mark> mark = event.mark;
  if (!mark) return;
  changed_.wait(lock, [&] { return mark->done; });
  host_ns_ = std::max(host_ns_, mark->time_ns);
  report(mark->failure, 0, true);
}

double Device::elapsed_ns(const Event& from, const Event& to) {
  Lock lock(mutex_);
  if (!from.mark || !to.mark || !from.mark->done || !to.mark->done) {
    refuse("event_elapsed needs two recorded events that have passed; event_sync them first");
  }
  return to.mark->time_ns - from.mark->time_ns;
}

// ---- capture -----------------------------------------------------------------------------------------------------

void Device::begin_capture(Stream& stream) {
  Lock lock(mutex_);
  if (stream.capturing) refuse("capture_begin on a stream that is capturing already");
  stream.capturing = true;
}

Replay* Device::end_capture(Stream& stream) {
  Lock lock(mutex_);
  if (!stream.capturing) refuse("capture_end without capture_begin on this stream");
  stream.capturing = false;
  auto replay = std::make_unique<Replay>();
  replay->commands.swap(stream.captured);
  return replay.release();
}

void Device::replay(const Replay& replay, Stream& stream, uint64_t tag) {
  for (Command command : replay.commands) {
    for (const auto& chunk : command.uses) {
      if (chunk->freed) refuse(cat("the replay uses memory that was freed (in ", command.name, ")"));
    }
    command.tag = tag;
    submit(stream, std::move(command));
  }
}

// ---- faults ------------------------------------------------------------------------------------------------------

FaultPtr Device::make_fault(int32_t code, uint64_t tag, std::string text) {
  auto failure = std::make_shared<Fault>();
  failure->code = code;
  failure->tag = tag;
  failure->order = ++failures_;
  failure->text = std::move(text);
  return failure;
}

// The failure that the persona or fault_inject has in store for this command, or null.
FaultPtr Device::provoked(const Command& command) {
  for (auto fault = faults_.begin(); fault != faults_.end(); ++fault) {
    const bool hit = fault->kind != TRM_FAULT_OUT_OF_MEMORY &&
                     (fault->command       ? fault->command <= commands_
                      : !fault->op.empty() ? command.name.find(fault->op) != std::string::npos
                                           : fault->tag == command.tag);
    if (!hit) continue;
    const bool loss = fault->kind == TRM_FAULT_LOST;
    FaultPtr failure =
        make_fault(loss ? TRM_DEVICE_LOST : TRM_FAULT, command.tag,
                   cat("provoked: ", loss ? "the device is lost at " : "", command.name, " with tag ", command.tag));
    failure->hidden = fault->kind == TRM_FAULT_LATE;
    if (loss) lost_ = failure;
    if (--fault->count == 0) faults_.erase(fault);
    return failure;
  }
  return nullptr;
}

void Device::inject(uint32_t kind, uint64_t argument) {
  PlannedFault fault;
  switch (kind) {
    case TRM_FAULT_NEXT_COMMAND:
    case TRM_FAULT_LATE:
    case TRM_FAULT_LOST: fault.tag = argument; break;
    case TRM_FAULT_OUT_OF_MEMORY: fault.count = argument; break;
    default: throw chip::Failure(TRM_UNSUPPORTED, cat("fault_inject of kind ", kind, ": known kinds are 1 to 4"));
  }
  fault.kind = static_cast<TrmFault>(kind);
  Lock lock(mutex_);
  faults_.push_back(fault);
}

void Device::check_alive() {
  Lock lock(mutex_);
  report(lost_, 0, true);
}

void Device::report(Stream& stream, bool at_wait) { report(lost_ ? lost_ : stream.failure, stream.last_tag, at_wait); }

// Throws when there is something to tell. A window's tag is the newest it may be, and stays what was said first.
void Device::report(const FaultPtr& failure, uint64_t last_tag, bool at_wait) {
  if (!failure || (failure->hidden && !at_wait)) return;
  if (failure->hidden && persona_.error_precision == TRM_TAG_WINDOW && last_tag) failure->tag = last_tag;
  failure->hidden = false;
  Reported reported{*failure, persona_.error_precision};
  if (persona_.error_precision == TRM_TAG_UNKNOWN) reported.fault.tag = 0;
  throw reported;
}

double Device::clock_ns() {
  Lock lock(mutex_);
  double latest = std::max(host_ns_, own_->now_ns);
  for (const auto& stream : streams_) latest = std::max(latest, stream->now_ns);
  return latest;
}

void Device::trace(bool on) {
  Lock lock(mutex_);
  tracing_ = on;
}

uint64_t Device::commands() {
  Lock lock(mutex_);
  return commands_;
}

size_t Device::stream_count() {
  Lock lock(mutex_);
  return streams_.size();
}

}  // namespace trireme::refchip
