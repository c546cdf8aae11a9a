#include "trireme/runtime/lowering.h"

#include <algorithm>
#include <mutex>

#include "trireme/base/strings.h"
#include "trireme/ir/op_decl.h"
#include "trireme/ir/registry.h"
#include "trireme/ir/view.h"
#include "trireme/runtime/memory_plan.h"
#include "trireme/runtime/plan_cache.h"

namespace trireme::runtime {

namespace {

std::string describe(const Node& node) {
  const SourceLine& source = node.source();
  return cat(node.name(), " ", node.outputs()[0], source.file != nullptr ? cat(" (", source, ")") : "");
}

// "mul+add+tanh"
std::string names_of(const Region& region) {
  std::vector<std::string> names;
  for (const Node* node : region.nodes) {
    const std::string name(node->name());
    if (names.size() < 6 && (names.empty() || names.back() != name)) names.push_back(name);
  }
  return join(names, "+");
}

// The ops of a region, and of its last node shape and line: "mul+add+tanh f32[8, 10] (main.cc:7)".
std::string describe(const Region& region) {
  const std::string last = describe(*region.nodes.back());
  return names_of(region) + last.substr(last.find(' '));
}

constexpr int kForever = 1 << 30;

}  // namespace

Lowering::Lowering(const Graph& graph, const PlanOptions& options, const Assignment& assignment)
    : options_(options),
      assignment_(assignment),
      host_(Device::host()),
      plan_(new Plan),
      texts_(std::make_shared<StepTexts>()) {
  plan_->graph_ = graph;
  plan_->options_ = options;
  plan_->ledger_.target = options.target->name();
}

std::shared_ptr<Plan> Lowering::make() {
  const Graph& graph = assignment_.graph;
  for (size_t i = 0; i < graph.inputs().size(); ++i) {
    Device& device = options_.input_devices.empty() ? *options_.target : *options_.input_devices[i];
    const Value& v = graph.inputs()[i];
    const int storage = new_storage(device, v.type().bytes(), "input");
    plan_->storages_[static_cast<size_t>(storage)].kind = Plan::StorageKind::kInput;
    plan_->storages_[static_cast<size_t>(storage)].index = static_cast<int>(i);
    locations_[key(v)][&device] = {storage, View::dense(v.shape())};
    produced_on_[key(v)] = &device;
  }
  for (size_t i = 0; i < options_.donated.size(); ++i) {
    if (options_.donated[i] < 0) continue;
    successor_of_[key(graph.outputs()[static_cast<size_t>(options_.donated[i])])] = static_cast<int>(i);
  }
  std::vector<const Node*> nodes;
  for (const PlacedNode& placed : assignment_.nodes) nodes.push_back(placed.node);
  std::vector<Region> regions;
  std::vector<RegionGraph> parts;
  if (assignment_.whole && !nodes.empty()) {
    regions.push_back({options_.target, nodes});
    parts.push_back(whole_graph());
  } else {
    regions = form_regions(assignment_.nodes, graph.outputs());
    const Uses uses(nodes, graph.outputs());
    for (const Region& region : regions) parts.push_back(uses.graph_of(region));
  }
  count_uses(regions, parts);
  for (const Region& region : regions) {
    lower(region, parts[static_cast<size_t>(region_)]);
    ++region_;
  }
  finish_outputs();
  join_lanes();
  assign_memory();
  plan_->texts_ = texts_;
  plan_->memory_.resize(plan_->operands_.size());
  plan_->users_.resize(plan_->storages_.size());
  plan_->bases_.resize(plan_->storages_.size());
  for (uint32_t i = 0; i < plan_->operands_.size(); ++i) {
    plan_->users_[static_cast<size_t>(plan_->operands_[i].storage)].push_back(i);
  }
  std::map<Device*, uint64_t, std::less<>> devices;
  for (size_t s = 0; s < plan_->storages_.size(); ++s) {
    Device* device = plan_->storages_[s].device;
    devices.emplace(device, device->generation());
    if (plan_->storages_[s].constant) plan_->set_memory(s, plan_->storages_[s].constant->mem);
  }
  for (const Plan::Step& step : plan_->steps_) {
    if (!step.control) continue;
    devices.insert(step.control->first->devices_.begin(), step.control->first->devices_.end());
    devices.insert(step.control->second->devices_.begin(), step.control->second->devices_.end());
  }
  plan_->devices_.assign(devices.begin(), devices.end());
  return plan_;
}

// The graph as one region: its inputs, and each output once that something computes.
RegionGraph Lowering::whole_graph() const {
  const Graph& graph = assignment_.graph;
  RegionGraph out;
  out.arguments = graph.inputs();
  for (const Value& v : graph.outputs()) {
    const bool computed = !v.node().is("parameter") && !is_known(v);
    if (computed && std::find(out.results.begin(), out.results.end(), v) == out.results.end()) out.results.push_back(v);
  }
  out.graph = Graph(out.arguments, out.results);
  return out;
}

void Lowering::count_uses(const std::vector<Region>& regions, const std::vector<RegionGraph>& parts) {
  const auto use = [&](const Value& v, int when) {
    Value at = v;
    while (true) {
      int& last = last_use_[key(at)];
      last = std::max(last, when);
      if (!is_view(at.node())) break;
      at = at.node().inputs()[0];
    }
  };
  for (size_t r = 0; r < regions.size(); ++r) {
    for (const Value& v : parts[r].arguments) use(v, static_cast<int>(r));
  }
  for (const Value& v : assignment_.graph.outputs()) use(v, kForever);
}

// --- values -----------------------------------------------------------------------------------------------------

int Lowering::new_storage(Device& device, uint64_t bytes, const std::string& maker) {
  Plan::Storage storage;
  storage.device = &device;
  storage.bytes = bytes;
  storage.maker = maker;
  plan_->storages_.push_back(std::move(storage));
  return static_cast<int>(plan_->storages_.size()) - 1;
}

Device& Lowering::home(const Value& value) {
  Value at = value;  // an engine gives views as results of their own
  while (is_view(at.node()) && !produced_on_.contains(key(at))) at = at.node().inputs()[0];
  const auto found = produced_on_.find(key(at));
  return found != produced_on_.end() ? *found->second : host_;
}

bool Lowering::addressable(const Device& device, const Location& location) const {
  return device.space().addressing != TRM_WHOLE || location.view.offset == 0;
}

Lowering::Location Lowering::locate(const Value& value, Device& device) {
  auto& places = locations_[key(value)];
  if (const auto at = places.find(&device); at != places.end()) return at->second;
  Location found;
  if (is_known(value)) {
    found = upload_constant(value, device);
  } else if (is_view(value.node()) && !produced_on_.contains(key(value))) {
    const Value& source = value.node().inputs()[0];
    Device& at_home = home(value);
    // What crosses is the source, where it is no larger: other views of it then find it there.
    if (&at_home == &device || source.type().bytes() <= value.type().bytes()) {
      Location base = locate(source, device);
      auto view = apply_view(value.node(), base.view);
      if (!view) {
        base = densified(device, base, source.dtype(), dense_strides(source.shape()),
                         cat("copy for ", value.node().name()));
        view = apply_view(value.node(), base.view);
      }
      found = {base.storage, *view};
      if (!addressable(device, found)) {  // one tensor per chunk: cut it on the host
        const Location on_host = {locate(source, host_).storage, *apply_view(value.node(), locate(source, host_).view)};
        found = transfer(value, on_host, host_, device);
      }
    } else {
      found = transfer(value, locate(value, at_home), at_home, device);
    }
  } else {
    Device& at_home = home(value);
    TRIREME_CHECK(&at_home != &device, cat("value of ", value.node().name(), " is used before it is made"));
    found = transfer(value, locate(value, at_home), at_home, device);
  }
  return locations_[key(value)][&device] = found;
}

Lowering::Location Lowering::upload_constant(const Value& value, Device& device) {
  if (is_view(value.node())) {
    Location base = locate(value.node().inputs()[0], device);
    if (const auto view = apply_view(value.node(), base.view)) {
      if (addressable(device, {base.storage, *view})) return {base.storage, *view};
    }
    const Value& source = value.node().inputs()[0];
    base = densified(device, base, source.dtype(), dense_strides(source.shape()), "copy of a constant");
    return {base.storage, *apply_view(value.node(), base.view)};
  }
  const Literal& literal = AttributeReader(value.node().op(), value.node().attributes()).literal("value");
  const int storage = new_storage(device, value.type().bytes(), "constant");
  plan_->storages_.back().kind = Plan::StorageKind::kConstant;
  plan_->storages_.back().constant = Buffer::from(device, literal);
  return {storage, View::dense(value.shape())};
}

Lowering::Location Lowering::transfer(const Value& value, const Location& from, Device& source, Device& target) {
  if (&source != &host_ && &target != &host_) {  // two chips meet on the host
    const Location staged = transfer(value, from, source, host_);
    return transfer(value, staged, host_, target);
  }
  Location origin = from;
  const uint64_t whole = plan_->storages_[static_cast<size_t>(from.storage)].bytes;
  const bool keep_layout =
      !from.view.is_dense() && whole <= 2 * value.type().bytes() && whole > 0 && addressable(target, from);
  if (!from.view.is_dense() && !keep_layout) {
    origin = densified(source, from, value.dtype(), dense_strides(value.shape()), "copy before crossing");
  }
  const std::string text = cat("copy of ", describe(value.node()), " from ", source.name(), " to ", target.name());
  const uint64_t bytes = keep_layout ? whole : value.type().bytes();
  const int storage = new_storage(target, bytes, text);
  Location arrived{storage, keep_layout ? from.view : View::dense(value.shape())};
  const uint64_t source_offset = keep_layout ? 0 : static_cast<uint64_t>(origin.view.offset) * size_of(value.dtype());
  Device& copier = &source == &host_ ? target : source;
  std::vector<Plan::Operand> operands = {{storage, 0, &target == &host_},
                                         {origin.storage, source_offset, &source == &host_}};
  Plan::Step& step = emit(Plan::StepKind::kCopy, copier, Lane::kCopy, operands, {origin.storage}, {storage}, text);
  step.bytes = bytes;
  step.moved = static_cast<double>(bytes);
  const double ns = link_ns(copier, bytes);
  plan_->ledger_.copy_ns += ns;
  plan_->ledger_.copies += 1;
  region_copy_ns_ += ns;
  return arrived;
}

Lowering::Location Lowering::densified(Device& device, const Location& from, DType dtype, const Strides& strides,
                                       const std::string& why) {
  const Shape& shape = from.view.shape;
  const int storage = new_storage(device, static_cast<uint64_t>(shape.elements()) * size_of(dtype), why);
  const Location to{storage, {shape, strides, 0}};
  emit_strided(device, to, from, dtype, why);
  return to;
}

// --- commands ---------------------------------------------------------------------------------------------------

Plan::Operand Lowering::operand(const Location& location, DType dtype) const {
  return {location.storage, static_cast<uint64_t>(location.view.offset) * size_of(dtype)};
}

Plan::Step& Lowering::emit(Plan::StepKind kind, Device& device, Lane lane, std::vector<Plan::Operand> operands,
                           const std::vector<int>& reads, const std::vector<int>& writes, const std::string& text) {
  order_after(device, lane, reads, writes);
  Plan::Step step{};
  step.kind = kind;
  step.device = &device;
  step.lane = lane;
  step.first = static_cast<uint32_t>(plan_->operands_.size());
  step.count = static_cast<uint32_t>(operands.size());
  for (Plan::Operand& o : operands) plan_->operands_.push_back(o);
  const int number = static_cast<int>(plan_->steps_.size());
  for (const auto* list : {&reads, &writes}) {
    for (int s : *list) {
      Plan::Storage& storage = plan_->storages_[static_cast<size_t>(s)];
      if (lane == Lane::kCopy && !device.synchronous()) {
        // The copy lane runs at its own pace between the start and the end of the plan, where the lanes meet: what it
        // touches shares no memory.
        storage.first = 0;
        storage.last = kForever;
        continue;
      }
      if (storage.first < 0) storage.first = number;
      storage.last = std::max(storage.last, number);
    }
  }
  const Touch touch{{&device, lane}, number};
  for (int s : writes) history_[s] = {touch, {}};
  for (int s : reads) {
    if (std::find(writes.begin(), writes.end(), s) == writes.end()) history_[s].readers.push_back(touch);
  }
  last_step_[touch.queue] = number;
  if (lane == Lane::kCopy) uses_copy_lane_ = true;
  texts_->push_back(text);
  plan_->steps_.push_back(std::move(step));
  return plan_->steps_.back();
}

// Makes the next command of (device, lane) wait for what it conflicts with on other queues.
void Lowering::order_after(Device& device, Lane lane, const std::vector<int>& reads, const std::vector<int>& writes) {
  std::map<Queue, int> needed;
  const Queue self{&device, lane};
  const auto need = [&](const Touch& touch) {
    const bool same = touch.queue.device == &device && (touch.queue.lane == lane || !device.has_streams());
    if (same || touch.queue.device->synchronous()) return;
    int& step = needed.try_emplace(touch.queue, -1).first->second;
    step = std::max(step, touch.step);
  };
  for (int s : reads) {
    if (history_[s].writer) need(*history_[s].writer);
  }
  for (int s : writes) {
    if (history_[s].writer) need(*history_[s].writer);
    for (const Touch& reader : history_[s].readers) need(reader);
  }
  for (const auto& [queue, step] : needed) {
    if (const auto at = host_waited_.find(queue); at != host_waited_.end() && at->second >= step) continue;
    const bool on_device = queue.device == &device;
    auto& known = on_device ? waited_.try_emplace({self, queue}, -1).first->second
                            : host_waited_.try_emplace(queue, -1).first->second;
    if (known >= step) continue;
    // Everything enqueued so far on that queue is covered by an event recorded now.
    known = last_step_.at(queue);
    const int event = static_cast<int>(plan_->events_.size());
    plan_->events_.emplace_back(queue.device, queue.device->create_event());
    const auto plain = [&](Plan::StepKind kind, Device& where, Lane on) {
      Plan::Step s{};
      s.kind = kind;
      s.device = &where;
      s.lane = on;
      s.event = event;
      plan_->steps_.push_back(std::move(s));
      texts_->push_back("event");
    };
    plain(Plan::StepKind::kRecord, *queue.device, queue.lane);
    if (on_device) plain(Plan::StepKind::kWait, device, lane);
    else plain(Plan::StepKind::kHostWait, *queue.device, queue.lane);
  }
}

void Lowering::emit_strided(Device& device, const Location& to, const Location& from, DType dtype,
                            const std::string& text) {
  if (to.view.shape.elements() == 0) return;
  plan_->ledger_.rearranged += 1;
  const auto bytes = 2.0 * static_cast<double>(to.view.shape.elements()) * static_cast<double>(size_of(dtype));
  if (device.chip().device().copy_strided == nullptr && device.computes()) {
    // The chip's own primitive, where it takes these strides.
    const Value x = parameter(dtype, to.view.shape);
    const Strides in = from.view.strides, out = to.view.strides;
    const Graph graph({x}, {make_node(get_op("strided_copy"), {x}, {})});
    const ProgramRef program = make_program(graph, {&in, 1}, {&out, 1});
    const Answer answer = ask(device, program);
    if (answer.native() && answer.workspace == 0) {
      const auto kernel = prepare(device, program);
      Plan::Step& step = emit(Plan::StepKind::kLaunch, device, Lane::kCompute,
                              {operand(from, dtype), operand(to, dtype)}, {from.storage}, {to.storage}, text);
      step.kernel = kernel;
      step.moved = bytes;
      plan_->ledger_.launches += 1;
      return;
    }
  }
  Plan::Step& step = emit(Plan::StepKind::kStrided, device, Lane::kCompute, {operand(to, dtype), operand(from, dtype)},
                          {from.storage}, {to.storage}, text);
  step.strided = std::make_shared<StridedCopy>();
  step.strided->item_bytes = static_cast<uint32_t>(size_of(dtype));
  step.strided->shape = to.view.shape;
  step.strided->dst_strides = to.view.strides;
  step.strided->src_strides = from.view.strides;
  step.moved = bytes;
}

std::shared_ptr<Kernel> Lowering::prepare(Device& device, const ProgramRef& program) {
  struct KernelKey {
    const Device* device;
    uint64_t hash, generation;
    auto operator<=>(const KernelKey&) const = default;
  };
  static std::mutex mutex;
  static auto* cache = new std::map<KernelKey, std::weak_ptr<Kernel>>;
  const KernelKey id{&device, program_reader().hash(program.get()), device.generation()};
  const std::lock_guard lock(mutex);
  if (auto known = (*cache)[id].lock()) return known;
  device.check_up();
  TrmKernel* handle = nullptr;
  TrmErr err{};
  err.struct_size = sizeof err;
  const int32_t code = device.chip().compute()->prepare(device.handle(), program.get(), &handle, &err);
  if (code != TRM_OK) {
    throw Error(code == TRM_OUT_OF_MEMORY ? Code::kOutOfMemory : Code::kDeviceFault,
                cat(device.name(), " took a program in query and refuses to prepare it: ", err.text));
  }
  auto kernel = std::make_shared<Kernel>(device, handle, program);
  (*cache)[id] = kernel;
  return kernel;
}

// --- the end of a plan ------------------------------------------------------------------------------------------

void Lowering::finish_outputs() {
  const Graph& graph = assignment_.graph;
  for (size_t k = 0; k < graph.outputs().size(); ++k) {
    const Value& v = graph.outputs()[k];
    const auto donor = successor_of_.find(key(v));
    Device* device = is_known(v) ? options_.target : &home(v);
    if (donor != successor_of_.end()) {
      device =
          options_.input_devices.empty() ? options_.target : options_.input_devices[static_cast<size_t>(donor->second)];
    }
    Location at = locate(v, *device);
    Plan::Storage* storage = &plan_->storages_[static_cast<size_t>(at.storage)];
    const bool took_input = storage->kind == Plan::StorageKind::kInput && donor != successor_of_.end() &&
                            storage->index == donor->second && storage->first >= 0 &&
                            !(&v.node() == &graph.inputs()[static_cast<size_t>(donor->second)].node());
    const bool exact = storage->bytes == v.type().bytes() && at.view.is_dense() && at.view.offset == 0;
    if (!took_input && (storage->kind != Plan::StorageKind::kArena || !exact)) {
      at = densified(*device, at, v.dtype(), dense_strides(v.shape()), "copy into an output");
      storage = &plan_->storages_[static_cast<size_t>(at.storage)];
      if (storage->first < 0) storage->first = 0;  // an empty tensor has no copy
    }
    if (!took_input) {
      storage->kind = Plan::StorageKind::kOutput;
      storage->index = static_cast<int>(k);
    }
    plan_->output_storage_.push_back(at.storage);
  }
}

// Lanes meet at both ends of a plan. At the start the copy lane waits for what earlier plans left on the compute lane;
// at the end the compute lane waits for the copy lane, and the host for copies that still touch its own memory.
void Lowering::join_lanes() {
  if (!uses_copy_lane_) return;
  for (const auto& [queue, last] : last_step_) {
    if (queue.lane != Lane::kCopy || queue.device->synchronous() || !queue.device->has_streams()) continue;
    Plan::Step record{}, wait{};
    record.kind = Plan::StepKind::kRecord;
    wait.kind = Plan::StepKind::kWait;
    wait.lane = Lane::kCopy;
    record.device = wait.device = queue.device;
    record.event = wait.event = static_cast<int>(plan_->events_.size());
    plan_->events_.emplace_back(queue.device, queue.device->create_event());
    plan_->steps_.insert(plan_->steps_.begin(), {record, wait});
    texts_->insert(texts_->begin(), 2, "event");
  }
  std::vector<int> host_memory;
  for (size_t s = 0; s < plan_->storages_.size(); ++s) {
    if (plan_->storages_[s].device == &host_) host_memory.push_back(static_cast<int>(s));
  }
  order_after(host_, Lane::kCompute, host_memory, host_memory);
  for (const auto& [queue, step] : std::map<Queue, int>(last_step_)) {
    if (queue.lane != Lane::kCopy || queue.device->synchronous()) continue;
    std::vector<int> touched;
    for (const auto& [storage, history] : history_) touched.push_back(storage);
    order_after(*queue.device, Lane::kCompute, touched, touched);
  }
}

void Lowering::assign_memory() {
  std::map<Device*, std::vector<int>> groups;
  const int end = static_cast<int>(plan_->steps_.size());
  for (size_t s = 0; s < plan_->storages_.size(); ++s) {
    const Plan::Storage& storage = plan_->storages_[s];
    if (storage.kind == Plan::StorageKind::kArena && storage.first >= 0)
      groups[storage.device].push_back(static_cast<int>(s));
  }
  for (auto& [device, members] : groups) {
    std::vector<Block> blocks;
    for (int s : members) {
      const Plan::Storage& storage = plan_->storages_[static_cast<size_t>(s)];
      blocks.push_back({storage.bytes, storage.first, std::min(storage.last, end)});
    }
    if (device->space().addressing == TRM_WHOLE) {  // no offsets: a block of its own for every value
      for (size_t i = 0; i < members.size(); ++i) {
        plan_->arenas_.push_back({device, blocks[i].bytes, {members[i]}, nullptr});
      }
    } else {
      const uint64_t bytes = plan_memory(blocks, std::max<uint64_t>(device->space().alignment, 64));
      for (size_t i = 0; i < members.size(); ++i) {
        plan_->storages_[static_cast<size_t>(members[i])].arena_offset = blocks[i].offset;
      }
      plan_->arenas_.push_back({device, bytes, members, nullptr});
    }
    if (device != options_.target) continue;
    Ledger& ledger = plan_->ledger_;
    ledger.live_bytes = std::max(ledger.live_bytes, live_bytes(blocks));
    for (const Block& block : blocks) ledger.arena_bytes = std::max(ledger.arena_bytes, block.offset + block.bytes);
  }
}

void Lowering::row(const Region& region, Device& device, double ns, const std::string& reason) {
  LedgerRow out;
  out.op = names_of(region);
  const Node& last = *region.nodes.back();
  out.shapes = last.outputs()[0].text();
  out.source = last.source().file != nullptr ? last.source().text() : "";
  out.device = device.name();
  out.reason = reason;
  out.estimated_ns = ns;
  out.copy_ns = region_copy_ns_;
  out.nodes = static_cast<int>(region.nodes.size());
  out.on_target = &device == options_.target && reason.empty();
  plan_->ledger_.rows.push_back(std::move(out));
  region_copy_ns_ = 0.0;
}

// --- regions ----------------------------------------------------------------------------------------------------

void Lowering::lower(const Region& region, const RegionGraph& parts) {
  const Node& node = *region.nodes.front();
  if (region.nodes.size() == 1 && node.op().kind.value == Kind::kControl) return lower_control(region);
  if (region.nodes.size() == 1 && is_assembly(node)) {
    const bool whole = region.device->computes() && ask(*region.device, parts.graph).native();
    if (!whole || !lower_kernel(region, parts)) lower_assembly(region);
    return;
  }
  if (lower_kernel(region, parts)) return;
  if (region.nodes.size() > 1) {  // taken as a whole with dense operands, refused as they lie: one by one
    for (const Node* member : region.nodes) {
      const Region alone{region.device, {member}};
      RegionGraph one;
      one.graph = single(*member, &one.arguments);
      for (const Value& v : all_outputs(Value(*member, 0))) one.results.push_back(v);
      lower(alone, one);
    }
    return;
  }
  const Region on_host{&host_, region.nodes};
  if (region.device == &host_ || options_.fallback == Fallback::kError || !lower_kernel(on_host, parts)) {
    throw Error(Code::kUnsupported, cat(region.device->name(), " cannot run ", describe(node),
                                        " with the operands laid out "
                                        "as they are, nor with dense ones"));
  }
}

// The memory of a donated input, when this result replaces it and nobody reads the old value any more.
int Lowering::storage_in_place(const Value& argument, const Location& location, const Value& result) {
  const auto donor = successor_of_.find(key(result));
  if (donor == successor_of_.end()) return -1;
  const Plan::Storage& storage = plan_->storages_[static_cast<size_t>(location.storage)];
  if (storage.kind != Plan::StorageKind::kInput || storage.index != donor->second || !location.view.is_dense())
    return -1;
  if (location.view.offset != 0 || storage.bytes != result.type().bytes() || argument.type() != result.type())
    return -1;
  Value base = argument;
  while (is_view(base.node())) base = base.node().inputs()[0];
  return last_use_[key(base)] <= region_ ? location.storage : -1;
}

bool Lowering::lower_kernel(const Region& region, const RegionGraph& parts) {
  Device& device = *region.device;
  std::vector<Location> inputs;
  std::vector<Strides> in_strides, out_strides;
  for (const Value& v : parts.arguments) {
    inputs.push_back(locate(v, device));
    in_strides.push_back(inputs.back().view.strides);
  }
  for (const Value& v : parts.results) out_strides.push_back(dense_strides(v.shape()));
  ProgramRef program = make_program(parts.graph, in_strides, out_strides);
  Answer answer = ask(device, program);
  const std::string text = describe(region);
  const auto make_dense = [&](size_t i, const Strides& strides) {
    if (inputs[i].view.strides == strides || inputs[i].view.shape.elements() <= 1) {
      in_strides[i] = strides;
      return;
    }
    inputs[i] = densified(device, inputs[i], parts.arguments[i].dtype(), strides, cat("layout for ", text));
    in_strides[i] = strides;
  };
  if (answer.verdict == TRM_NO) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].view.is_dense()) make_dense(i, dense_strides(parts.arguments[i].shape()));
    }
    program = make_program(parts.graph, in_strides, out_strides);
    answer = ask(device, program);
  }
  if (answer.verdict == TRM_NATIVE_AFTER_CONVERSION) {
    if (answer.wants_types(parts.graph)) return false;
    for (const Conversion& c : answer.conversions) {
      if (c.operand < inputs.size()) make_dense(c.operand, c.strides);
      else out_strides[c.operand - inputs.size()] = c.strides;
    }
    program = make_program(parts.graph, in_strides, out_strides);
    answer = ask(device, program);
  }
  if (!answer.native()) return false;
  std::vector<Plan::Operand> operands;
  std::vector<int> reads, writes;
  for (size_t i = 0; i < inputs.size(); ++i) {
    operands.push_back(operand(inputs[i], parts.arguments[i].dtype()));
    reads.push_back(inputs[i].storage);
  }
  for (size_t k = 0; k < parts.results.size(); ++k) {
    const Value& v = parts.results[k];
    int storage = -1;
    const int32_t shared = answer.in_place[k];
    for (size_t i = 0; i < inputs.size() && storage < 0; ++i) {
      if (shared != static_cast<int32_t>(i) && shared != TRM_ANY_INPUT) continue;
      // Read in two ways, turned for instance, it would be overwritten before it is read.
      const auto readers = std::count(reads.begin(), reads.end(), inputs[i].storage);
      if (readers == 1) storage = storage_in_place(parts.arguments[i], inputs[i], v);
    }
    if (storage < 0) storage = new_storage(device, v.type().bytes(), text);
    const Location made{storage, {v.shape(), out_strides[k], 0}};
    locations_[key(v)][&device] = made;
    produced_on_[key(v)] = &device;
    operands.push_back(operand(made, v.dtype()));
    writes.push_back(storage);
  }
  int workspace = -1;
  if (answer.workspace > 0) {
    workspace = new_storage(device, answer.workspace, cat("workspace of ", text));
    writes.push_back(workspace);
  }
  const auto kernel = prepare(device, program);
  if (uint32_t& least = plan_->ledger_.fixed_point_bits; answer.fixed_point_bits != 0) {
    least = least == 0 ? answer.fixed_point_bits : std::min(least, answer.fixed_point_bits);
  }
  Plan::Step& step = emit(Plan::StepKind::kLaunch, device, Lane::kCompute, operands, reads, writes, text);
  if (workspace >= 0) {
    plan_->operands_.push_back({workspace, 0});
    step.workspace = true;
  }
  step.kernel = kernel;
  for (const Node* node : region.nodes) step.flops += work_of(*node).flops;
  for (const Value& v : parts.arguments) step.moved += static_cast<double>(v.type().bytes());
  for (const Value& v : parts.results) step.moved += static_cast<double>(v.type().bytes());
  plan_->ledger_.launches += 1;
  std::string reason;
  if (&device != options_.target || answer.runs_on_host) {
    const auto why = assignment_.reasons.find(region.nodes.front());
    reason = why != assignment_.reasons.end() ? why->second : answer.reason;
  }
  row(region, device, answer.ns, reason);
  return true;
}

// concat: each part copied into its place. pad: filled, then the input copied inside.
void Lowering::lower_assembly(const Region& region) {
  Device& device = *region.device;
  const Node& node = *region.nodes.front();
  const AttributeReader attributes(node.op(), node.attributes());
  const Value result(node, 0);
  const std::string text = describe(node);
  const Location whole{new_storage(device, result.type().bytes(), text), View::dense(result.shape())};
  if (node.is("pad")) {
    const Literal item = Literal::filled(result.dtype(), Shape{}, attributes.number("value"));
    if (result.shape().elements() > 0) {
      Plan::Step& fill = emit(Plan::StepKind::kFill, device, Lane::kCompute, {operand(whole, result.dtype())}, {},
                              {whole.storage}, text);
      std::copy_n(static_cast<const std::byte*>(item.data()), item.bytes(),
                  reinterpret_cast<std::byte*>(&fill.fill_item));
      fill.fill_bytes = static_cast<uint32_t>(item.bytes());
      fill.bytes = result.type().bytes();
    }
    const Location from = locate(node.inputs()[0], device);
    Location inner{whole.storage, {node.inputs()[0].shape(), {}, 0}};
    for (int a = 0; a < result.shape().rank(); ++a) {
      const auto axis = static_cast<size_t>(a);
      inner.view.strides[axis] = whole.view.strides[axis] * (attributes.integers("interior")[axis] + 1);
      inner.view.offset += whole.view.strides[axis] * attributes.integers("low")[axis];
    }
    emit_strided(device, inner, from, result.dtype(), text);
  } else {
    const int64_t given = attributes.integer("axis");
    const auto axis = static_cast<size_t>(given < 0 ? given + result.shape().rank() : given);
    int64_t start = 0;
    for (const Value& part : node.inputs()) {
      const Location from = locate(part, device);
      Location slot{whole.storage, {part.shape(), whole.view.strides, whole.view.strides[axis] * start}};
      emit_strided(device, slot, from, result.dtype(), text);
      start += part.shape()[static_cast<int>(axis)];
    }
  }
  Plan::Storage& storage = plan_->storages_[static_cast<size_t>(whole.storage)];
  if (storage.first < 0) storage.first = storage.last = static_cast<int>(plan_->steps_.size());
  locations_[key(result)][&device] = whole;
  produced_on_[key(result)] = &device;
  const auto why = assignment_.reasons.find(&node);
  const double bandwidth = std::max(device.props().memory_bandwidth, 1e9);
  row(region, device, 1e9 * work_of(node).bytes / bandwidth,
      &device != options_.target && why != assignment_.reasons.end() ? why->second : "");
}

// The state lives where the control flow was placed; only the predicate crosses to the host, which decides.
void Lowering::lower_control(const Region& region) {
  Device& device = *region.device;
  const Node& node = *region.nodes.front();
  const AttributeReader attributes(node.op(), node.attributes());
  auto control = std::make_shared<Plan::Control>();
  control->loop = node.is("while_loop");
  PlanOptions options;
  options.target = options_.target;
  options.fallback = options_.fallback == Fallback::kError ? Fallback::kError : Fallback::kAllow;
  const auto plan_of = [&](const char* name, bool replaces_its_inputs) {
    const Graph& graph = attributes.graph(name);
    options.input_devices.assign(graph.inputs().size(), &device);
    options.donated.clear();
    for (int i = 0; replaces_its_inputs && i < static_cast<int>(graph.inputs().size()); ++i)
      options.donated.push_back(i);
    auto plan = plan_for(graph, options);
    for (LedgerRow part : plan->ledger().rows) {  // once, however many rounds there will be
      part.op = cat(node.name(), ": ", part.op);
      plan_->ledger_.rows.push_back(std::move(part));
    }
    plan_->ledger_.copy_ns += plan->ledger().copy_ns;
    return plan;
  };
  control->first = plan_of(control->loop ? "condition" : "then_graph", false);
  control->second = plan_of(control->loop ? "body" : "else_graph", control->loop);
  std::vector<Plan::Operand> operands;
  std::vector<int> reads, writes;
  for (const Value& v : node.inputs()) {
    Location at = locate(v, device);
    if (!at.view.is_dense()) at = densified(device, at, v.dtype(), dense_strides(v.shape()), "operand of control flow");
    operands.push_back(operand(at, v.dtype()));
    reads.push_back(at.storage);
    control->inputs.push_back(v.type());
  }
  const std::string text = describe(node);
  for (const Value& v : all_outputs(Value(node, 0))) {
    const Location made{new_storage(device, v.type().bytes(), text), View::dense(v.shape())};
    locations_[key(v)][&device] = made;
    produced_on_[key(v)] = &device;
    operands.push_back(operand(made, v.dtype()));
    writes.push_back(made.storage);
    control->outputs.push_back(v.type());
  }
  emit(Plan::StepKind::kControl, device, Lane::kCompute, operands, reads, writes, text).control = control;
}

}  // namespace trireme::runtime
