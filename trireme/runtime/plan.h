// Plan: a graph made ready to run on a target device, with the host's help where needed. Everything is decided here:
// who runs what, layouts, kernels, memory offsets, the order of events. A run is then a flat list of commands.
//
// Plans are immutable after make() but for the memory they run in; run() may be called from several threads: of those
// whose plans share a device, one at a time gets through to give its commands.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "trireme/ir/graph.h"
#include "trireme/runtime/buffer.h"
#include "trireme/runtime/ledger.h"
#include "trireme/runtime/program.h"
#include "trireme/runtime/tags.h"

namespace trireme::runtime {

struct PlanOptions {
  Device* target = nullptr;
  Fallback fallback = Fallback::kWarn;
  std::vector<Device*> input_devices;  // where each input's buffer lives; empty: all on the target
  // For each input the output that replaces it, or -1: its memory may be taken, and the output lands on its device.
  std::vector<int> donated;
};

// A prepared program, released to its device with the last plan that uses it.
struct Kernel {
  Device& device;
  TrmKernel* handle;
  ProgramRef program;
  uint64_t generation;  // of the device
  Kernel(Device& d, TrmKernel* h, ProgramRef p)
      : device(d), handle(h), program(std::move(p)), generation(d.generation()) {
    d.own(h);
  }
  ~Kernel() { device.release(handle, generation); }
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;
};

class Plan : public std::enable_shared_from_this<Plan> {
 public:
  // Throws kUnsupported when something runs nowhere, or (Fallback::kError) off the target; kOutOfMemory listing the
  // five largest values.
  static std::shared_ptr<Plan> make(const Graph& graph, const PlanOptions& options);

  // Enqueues the whole plan. Inputs must have the graph's types and live on the planned devices; donated ones must not
  // be used afterwards. Results may still be computing: reading them waits.
  std::vector<BufferRef> run(std::span<const BufferRef> inputs);

  // True when one of its devices was reset since: its kernels and constants are gone, make it anew.
  bool stale() const;

  const Ledger& ledger() const { return ledger_; }
  const Graph& graph() const { return graph_; }
  ~Plan();

 private:
  friend class Lowering;

  enum class StorageKind : uint8_t { kInput, kOutput, kArena, kConstant };
  struct Storage {
    Device* device = nullptr;
    uint64_t bytes = 0;
    StorageKind kind = StorageKind::kArena;
    int index = -1;  // of the input or output
    BufferRef constant;
    uint64_t arena_offset = 0;
    int first = -1, last = -1;  // steps
    std::string maker;          // op, for out-of-memory messages
  };
  // A place in a storage, resolved to a TrmMem when the storage's memory is known.
  struct Operand {
    int storage;
    uint64_t offset;
    bool seen_by_chip = false;  // host memory as another device addresses it
  };
  enum class StepKind : uint8_t { kLaunch, kCopy, kStrided, kFill, kRecord, kWait, kHostWait, kControl };
  struct Control;
  struct Step {
    StepKind kind;
    Lane lane = Lane::kCompute;
    Device* device = nullptr;
    uint32_t first = 0, count = 0;  // operands; for kLaunch without the workspace
    bool workspace = false;         // the operand behind the last
    std::shared_ptr<Kernel> kernel;
    uint64_t bytes = 0;
    std::shared_ptr<StridedCopy> strided;
    uint64_t fill_item = 0;
    uint32_t fill_bytes = 0;
    int event = -1;
    std::shared_ptr<Control> control;
    double flops = 0.0, moved = 0.0;  // for traces
  };
  struct Control {
    bool loop = false;
    std::shared_ptr<Plan> first, second;  // then and else; or condition and body
    std::vector<TensorType> inputs, outputs;
  };

  Plan() = default;
  void bind(std::span<const BufferRef> inputs, std::vector<BufferRef>& outputs);
  void set_memory(size_t storage, const TrmMem& mem);
  void execute(const Step& step, uint64_t tag);
  void launch_shadowed(const Step& step, uint64_t tag);
  void run_control(const Step& step);
  std::string replay(std::span<const BufferRef> inputs);
  uint64_t generation_of(const Device& device) const;
  void settle_after_failure() noexcept;

  Graph graph_;
  PlanOptions options_;
  std::vector<Storage> storages_;
  std::vector<Step> steps_;
  std::vector<Operand> operands_;
  std::vector<TrmMem> memory_;                // resolved operands, parallel to operands_
  std::vector<std::vector<uint32_t>> users_;  // operands of each storage
  std::vector<TrmMem> bases_;                 // of each storage
  std::vector<int> output_storage_;           // per graph output
  std::vector<std::pair<Device*, TrmEvent*>> events_;
  struct Arena {
    Device* device;
    uint64_t bytes;
    std::vector<int> storages;
    BufferRef memory;
  };
  std::vector<Arena> arenas_;
  // All that take part, parts of control flow included, with their generations; in order of address.
  std::vector<std::pair<Device*, uint64_t>> devices_;
  std::shared_ptr<const StepTexts> texts_;
  Ledger ledger_;
  bool told_ = false;

  // Every device of the plan, held for its commands.
  class Turn;
};

}  // namespace trireme::runtime
