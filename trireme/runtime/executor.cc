// Running a plan: memory is bound, then the steps are enqueued one after another.
#include <algorithm>
#include <cstring>

#include "trireme/base/log.h"
#include "trireme/base/strings.h"
#include "trireme/runtime/lowering.h"
#include "trireme/runtime/plan.h"
#include "trireme/runtime/planner.h"
#include "trireme/runtime/shadow.h"
#include "trireme/runtime/trace.h"

namespace trireme::runtime {

class Plan::Turn {
 public:
  using Devices = std::vector<std::pair<Device*, uint64_t>>;
  explicit Turn(const Devices& devices) : devices_(devices) {
    for (; held_ < devices_.size(); ++held_) devices_[held_].first->commands().lock();
  }
  // Holds all of them or, while another thread holds one, none.
  Turn(const Devices& devices, std::try_to_lock_t) : devices_(devices) {
    while (held_ < devices_.size() && devices_[held_].first->commands().try_lock()) ++held_;
    if (!*this) release();
  }
  ~Turn() { release(); }
  explicit operator bool() const { return held_ == devices_.size(); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  void release() {
    while (held_ > 0) devices_[--held_].first->commands().unlock();
  }
  const Devices& devices_;
  size_t held_ = 0;
};

Plan::~Plan() {
  for (auto& [device, event] : events_) device->destroy_event(event, generation_of(*device));
}

uint64_t Plan::generation_of(const Device& device) const {
  for (const auto& [known, generation] : devices_) {
    if (known == &device) return generation;
  }
  return device.generation();  // the plan was never finished
}

bool Plan::stale() const {
  for (const auto& [device, generation] : devices_) {
    if (device->generation() != generation) return true;
  }
  return std::any_of(steps_.begin(), steps_.end(), [](const Step& step) {
    return step.control && (step.control->first->stale() || step.control->second->stale());
  });
}

std::shared_ptr<Plan> Plan::make(const Graph& graph, const PlanOptions& options) {
  TRIREME_CHECK(options.target != nullptr, "a plan needs a target device");
  const Assignment assignment = assign(graph, options);
  if (verify_enabled()) verify(assignment.graph, "decomposition");
  return Lowering(graph, options, assignment).make();
}

void Plan::set_memory(size_t storage, const TrmMem& mem) {
  TrmMem& base = bases_[storage];
  if (base.handle == mem.handle && base.offset == mem.offset && base.space == mem.space && base.bytes != 0) return;
  base = mem;
  for (uint32_t i : users_[storage]) {
    const Operand& operand = operands_[i];
    TrmMem& out = memory_[i];
    out = mem;
    out.offset += operand.offset;
    out.bytes = storages_[storage].bytes - operand.offset;
    if (operand.seen_by_chip) {
      out = {out.handle + out.offset, 0, out.bytes, TRM_HOST_SPACE, 0};
    }
  }
}

void Plan::bind(std::span<const BufferRef> inputs, std::vector<BufferRef>& outputs) {
  if (inputs.size() != graph_.inputs().size()) {
    throw Error(Code::kInvalidArgument,
                cat("the graph has ", graph_.inputs().size(), " inputs; given ", inputs.size()));
  }
  std::vector<size_t> input_storage(inputs.size());
  for (size_t s = 0; s < storages_.size(); ++s) {
    Storage& storage = storages_[s];
    if (storage.kind != StorageKind::kInput) continue;
    const Buffer& buffer = *inputs[static_cast<size_t>(storage.index)];
    const TensorType& type = graph_.inputs()[static_cast<size_t>(storage.index)].type();
    buffer.check_alive();
    if (buffer.type != type || &buffer.device != storage.device) {
      throw Error(Code::kInvalidArgument,
                  cat("input ", storage.index, " is ", buffer.type, " on ", buffer.device.name(), "; the plan expects ",
                      type, " on ", storage.device->name()));
    }
    set_memory(s, buffer.mem);
  }
  for (Arena& arena : arenas_) {
    if (!arena.memory)
      arena.memory = std::make_shared<Buffer>(*arena.device, TensorType{u8, {static_cast<int64_t>(arena.bytes)}});
    for (int s : arena.storages) {
      TrmMem mem = arena.memory->mem;
      mem.offset += storages_[static_cast<size_t>(s)].arena_offset;
      set_memory(static_cast<size_t>(s), mem);
    }
  }
  for (size_t k = 0; k < output_storage_.size(); ++k) {
    const auto s = static_cast<size_t>(output_storage_[k]);
    const Storage& storage = storages_[s];
    if (storage.kind == StorageKind::kInput) {  // written in place of a donated input
      outputs.push_back(inputs[static_cast<size_t>(storage.index)]);
      continue;
    }
    outputs.push_back(std::make_shared<Buffer>(*storage.device, graph_.outputs()[k].type()));
    set_memory(s, outputs.back()->mem);
  }
}

std::vector<BufferRef> Plan::run(std::span<const BufferRef> inputs) {
  const Turn turn(devices_);
  if (stale()) {
    throw Error(Code::kDeviceFault, cat("a device of this plan for ", options_.target->name(),
                                        " was reset, which lost its kernels and constants; make the plan anew"));
  }
  std::vector<BufferRef> outputs;
  outputs.reserve(output_storage_.size());
  try {
    bind(inputs, outputs);
  } catch (const Error& failure) {
    if (failure.code() != Code::kOutOfMemory) throw;
    std::vector<const Storage*> largest;
    for (const Storage& storage : storages_) largest.push_back(&storage);
    std::stable_sort(largest.begin(), largest.end(), [](auto* a, auto* b) { return a->bytes > b->bytes; });
    std::string list;
    for (size_t i = 0; i < std::min<size_t>(5, largest.size()); ++i) {
      list += cat(i ? ", " : "", largest[i]->bytes, " bytes by ", largest[i]->maker);
    }
    throw Error(Code::kOutOfMemory, cat(failure.what(), "; the largest values of this plan: ", list,
                                        "; use a smaller batch, recompute, or a device with more memory"));
  }
  if (!told_) {
    told_ = true;
    const bool helped = ledger_.fallback_share() > 0.0;
    if (options_.fallback == Fallback::kWarn && (helped || options_.target != &Device::host())) {
      if (helped) log_warn(ledger_.line());
      else log_info(ledger_.line());
    }
    log_debug(ledger_.table());
  }
  const bool in_place = std::any_of(output_storage_.begin(), output_storage_.end(), [&](int s) {
    return storages_[static_cast<size_t>(s)].kind == StorageKind::kInput;
  });
  for (const auto& [device, generation] : devices_) {
    if (!device->vague() || in_place) continue;  // what was replaced in place cannot be computed again
    device->remember([self = shared_from_this(), given = std::vector<BufferRef>(inputs.begin(), inputs.end())] {
      return self->replay(given);
    });
  }
  const uint64_t work = Device::next_work();
  for (const auto& [device, generation] : devices_) device->begin_work(work);
  for (const BufferRef& output : outputs) output->work = work;
  const uint64_t tag = reserve_tags(texts_);
  try {
    if (tracing()) {
      for (size_t i = 0; i < steps_.size(); ++i) {
        for (auto& [device, generation] : devices_) device->synchronize();
        const uint64_t begin = now_ns();
        execute(steps_[i], tag + i);
        for (auto& [device, generation] : devices_) device->synchronize();
        if (steps_[i].kind >= StepKind::kRecord && steps_[i].kind <= StepKind::kHostWait) continue;
        const bool copy = steps_[i].kind != StepKind::kLaunch && steps_[i].kind != StepKind::kControl;
        const std::string& text = (*texts_)[i];
        const size_t space = text.find(' ');
        emit({text.substr(0, space),
              copy ? "copy" : "kernel",
              steps_[i].device->name(),
              begin,
              now_ns(),
              steps_[i].flops,
              steps_[i].moved,
              space == std::string::npos ? "" : text.substr(space + 1),
              {}});
      }
    } else {
      for (size_t i = 0; i < steps_.size(); ++i) execute(steps_[i], tag + i);
    }
  } catch (const std::exception& failure) {
    settle_after_failure();
    for (const auto& [device, generation] : devices_) device->lose_work(work, failure.what());
    throw;
  }
  return outputs;
}

// The text of the first step that fails when each waits for the one before; empty when none does.
std::string Plan::replay(std::span<const BufferRef> inputs) {
  const Turn turn(devices_, std::try_to_lock);
  if (!turn) return {};  // another thread gives commands, and may be waiting for us
  size_t at = 0;
  try {
    std::vector<BufferRef> outputs;
    bind(inputs, outputs);
    const uint64_t tag = reserve_tags(texts_);
    for (; at < steps_.size(); ++at) {
      execute(steps_[at], tag + at);
      for (auto& [device, generation] : devices_) device->synchronize();
    }
  } catch (const Error& failure) {
    return failure.code() == Code::kOutOfMemory ? std::string() : (*texts_)[at];
  }
  return {};
}

void Plan::execute(const Step& step, uint64_t tag) {
  const TrmMem* memory = memory_.data() + step.first;
  switch (step.kind) {
    case StepKind::kLaunch:
      if (shadow_is_due()) return launch_shadowed(step, tag);
      step.device->launch(step.kernel->handle, memory, step.count, step.workspace ? memory + step.count : nullptr,
                          step.lane, tag);
      return;
    case StepKind::kCopy: return step.device->copy(memory[0], memory[1], step.bytes, step.lane, tag);
    case StepKind::kStrided: {
      StridedCopy copy = *step.strided;
      copy.dst = memory[0];
      copy.src = memory[1];
      return step.device->copy_strided(copy, step.lane, tag);
    }
    case StepKind::kFill: {
      TrmMem target = memory[0];
      target.bytes = step.bytes;
      return step.device->fill(target, &step.fill_item, step.fill_bytes, step.lane, tag);
    }
    case StepKind::kRecord: return step.device->record(events_[static_cast<size_t>(step.event)].second, step.lane);
    case StepKind::kWait: return step.device->wait(events_[static_cast<size_t>(step.event)].second, step.lane);
    case StepKind::kHostWait: return step.device->host_wait(events_[static_cast<size_t>(step.event)].second);
    case StepKind::kControl: return run_control(step);
  }
}

void Plan::launch_shadowed(const Step& step, uint64_t tag) {
  const TrmMem* memory = memory_.data() + step.first;
  const ShadowCheck check(*step.device, step.kernel->program, memory);
  step.device->launch(step.kernel->handle, memory, step.count, step.workspace ? memory + step.count : nullptr,
                      step.lane, tag);
  check.compare((*texts_)[static_cast<size_t>(&step - steps_.data())], tag);
}

void Plan::run_control(const Step& step) {
  const Control& control = *step.control;
  Device& device = *step.device;
  const TrmMem* memory = memory_.data() + step.first;
  std::vector<BufferRef> state;
  for (size_t i = 0; i < control.inputs.size(); ++i) {
    state.push_back(std::make_shared<Buffer>(device, control.inputs[i]));
    device.copy(state.back()->mem, memory[i], control.inputs[i].bytes(), Lane::kCompute);
  }
  const auto truth = [](const BufferRef& buffer) { return buffer->read().at(0) != 0.0; };
  const auto brought_home = [&](std::vector<BufferRef> values) {
    for (BufferRef& value : values) {
      if (&value->device != &device) value = Buffer::from(device, value->read());
    }
    return values;
  };
  if (control.loop) {
    while (truth(control.first->run(state)[0])) state = brought_home(control.second->run(state));
  } else {
    const bool taken = truth(state[0]);
    state.erase(state.begin());
    state = brought_home((taken ? control.first : control.second)->run(state));
  }
  for (size_t i = 0; i < state.size(); ++i) {
    device.copy(memory[control.inputs.size() + i], state[i]->mem, control.outputs[i].bytes(), Lane::kCompute);
  }
}

// Commands behind the failed one may still touch memory that is about to be reused: let every device come to rest.
void Plan::settle_after_failure() noexcept {
  for (auto& [device, generation] : devices_) {
    try {
      device->synchronize();
    } catch (const Error&) {
      continue;  // the first failure is the one being reported
    }
  }
}

}  // namespace trireme::runtime
