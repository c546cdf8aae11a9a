#include "compute.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "broken.h"
#include "trireme/base/strings.h"

namespace trireme::refchip {
namespace {

bool is_operand(const chip::Program& program, uint32_t value) {
  for (uint32_t i = 0; i < program.input_count(); ++i) {
    if (program.input(i) == value) return true;
  }
  for (uint32_t i = 0; i < program.output_count(); ++i) {
    if (program.output(i) == value) return true;
  }
  return false;
}

// Axes from outermost to innermost: row-major, or with axis 1 last.
std::vector<uint8_t> axis_order(uint32_t rank, bool channels_last) {
  std::vector<uint8_t> order;
  for (uint8_t axis = 0; axis < rank; ++axis) {
    if (!channels_last || axis != 1) order.push_back(axis);
  }
  if (channels_last && rank > 1) order.push_back(1);
  return order;
}

bool is_dense_in(const TrmValue& v, const std::vector<uint8_t>& order) {
  int64_t expected = 1;
  for (size_t i = order.size(); i-- > 0;) {
    const uint8_t axis = order[i];
    if (v.dims[axis] == 0) return true;
    if (v.dims[axis] != 1 && v.strides[axis] != expected) return false;
    expected *= v.dims[axis];
  }
  return true;
}

struct Refusal {
  TrmReason reason;
  std::string text;
};

// One question about one program; the answer grows from check to check.
class Query {
 public:
  Query(const Persona& persona, const chip::Program& program, const TrmEvaluate& evaluate)
      : persona_(persona), program_(program), evaluate_(evaluate), answer_(chip::sized<TrmAnswer>()) {
    std::fill(std::begin(answer_.in_place), std::end(answer_.in_place), -1);
  }

  TrmAnswer run() {
    check_region();
    for (uint32_t n = 0; n < program_.node_count(); ++n) check_node(program_.node(n));
    for (uint32_t v = 0; v < program_.value_count(); ++v) check_dtype(v);
    for (uint32_t k = 0; k < program_.operand_count(); ++k) check_layout(k);
    if (!evaluate_.can_run(program_.get())) throw Refusal{TRM_REASON_OP, "the evaluator cannot run it"};
    answer_.verdict = answer_.conversion_count ? TRM_NATIVE_AFTER_CONVERSION : TRM_NATIVE;
    answer_.workspace_bytes = persona_.workspace_bytes;
    answer_.estimated_ns = price();
    offer_memory();
    return answer_;
  }

 private:
  void check_region() {
    const uint32_t nodes = program_.node_count();
    if (nodes > persona_.max_nodes)
      throw Refusal{TRM_REASON_REGION, cat("at most ", persona_.max_nodes, " ops at once")};
    if (nodes < persona_.min_nodes) {
      throw Refusal{TRM_REASON_REGION, cat("an engine: at least ", persona_.min_nodes, " ops at once")};
    }
    if (program_.operand_count() > TRM_MAX_OPERANDS) {
      throw Refusal{TRM_REASON_REGION, cat("more than ", TRM_MAX_OPERANDS, " operands")};
    }
  }

  void check_node(const chip::NodeView& node) {
    if (!persona_.has_op(node.op())) throw Refusal{TRM_REASON_OP, cat("no kernel for ", node.op())};
    if (node.has_attribute("dtype")) {
      typed_by_attribute_ = true;
      check_type(static_cast<DType>(node.dtype("dtype")));
    }
    const auto& listed = persona_.channels_last;
    if (std::find(listed.begin(), listed.end(), node.op()) != listed.end()) {
      if (program_.node_count() > 1) throw Refusal{TRM_REASON_REGION, cat(node.op(), " is taken alone only")};
      channels_last_ = true;
    }
    any_strides_ = program_.node_count() == 1 && node.op() == "strided_copy";
  }

  void check_type(DType type) {
    if (!persona_.dtypes.has(type)) throw Refusal{TRM_REASON_DTYPE, cat("no ", type)};
  }

  // A type the chip lacks may come converted: operands by the host, constants by prepare, but no value in between.
  void check_dtype(uint32_t number) {
    const TrmValue value = program_.value(number);
    const auto type = static_cast<DType>(value.dtype);
    const bool convertible = persona_.convert.contains(type) && !typed_by_attribute_;
    if (!convertible || !(value.known || is_operand(program_, number))) check_type(type);
  }

  void check_layout(uint32_t operand) {
    const TrmValue value = program_.operand(operand);
    const auto type = static_cast<DType>(value.dtype);
    const auto converted = persona_.convert.find(type);
    const DType wanted = converted == persona_.convert.end() ? type : converted->second;
    const bool image = channels_last_ && (operand == 0 || operand == program_.input_count());
    const auto order = axis_order(value.rank, image);
    const bool picky = image || (persona_.dense_operands && !any_strides_);
    if (wanted == type && (!picky || is_dense_in(value, order))) return;
    TrmConversion& conversion = answer_.conversions[answer_.conversion_count++];
    conversion.operand = operand;
    conversion.dtype = static_cast<uint32_t>(wanted);
    std::copy(order.begin(), order.end(), conversion.order);
  }

  // Nanoseconds: the launch, then whichever of arithmetic and memory traffic takes longer.
  double price() const {
    double flops = 0, bytes = 0;
    if (evaluate_.cost(program_.get(), &flops, &bytes) != TRM_OK) return 0;
    bool low = persona_.flops_low > 0;
    for (uint32_t v = 0; v < program_.value_count(); ++v) {
      const uint32_t type = program_.value(v).dtype;
      low = low && type != TRM_F32 && type != TRM_F64;
    }
    const double rate = low ? persona_.flops_low : persona_.flops_f32;
    return persona_.launch_latency_ns + 1e9 * std::max(flops / rate, bytes / persona_.memory_bandwidth);
  }

  // An output may take the memory of an input of the same type, shape and dense layout, once.
  void offer_memory() {
    std::set<uint32_t> taken;
    for (uint32_t k = 0; k < program_.output_count(); ++k) {
      const TrmValue y = program_.value(program_.output(k));
      for (uint32_t i = 0; i < program_.input_count() && answer_.in_place[k] < 0; ++i) {
        const TrmValue x = program_.value(program_.input(i));
        const bool fits = x.dtype == y.dtype && chip::same_dims(x, y) && chip::is_dense(x) && chip::is_dense(y);
        if (fits && taken.insert(i).second) answer_.in_place[k] = static_cast<int32_t>(i);
      }
    }
  }

  const Persona& persona_;
  const chip::Program& program_;
  const TrmEvaluate& evaluate_;
  TrmAnswer answer_;
  bool typed_by_attribute_ = false, channels_last_ = false, any_strides_ = false;
};

std::string name_of(const chip::Program& program) {
  std::string name;
  for (uint32_t n = 0; n < program.node_count() && n < 4; ++n) name += cat(n ? "+" : "", program.node(n).op());
  return program.node_count() > 4 ? cat(name, "+", program.node_count() - 4, " more") : name;
}

Extent extent_in(const TrmValue& v) {
  return extent_of(v.rank, v.dims, v.strides, static_cast<uint32_t>(chip::size_of(v.dtype)));
}

// A kernel writes an output while it reads its inputs, so they may share memory only where the answer said so.
void check_sharing(const Kernel& kernel, const std::vector<Place>& places) {
  const uint32_t inputs = kernel.program.input_count();
  for (uint32_t k = inputs; k < places.size(); ++k) {
    const Extent written = extent_in(kernel.operands[k]);
    for (uint32_t i = 0; i < k; ++i) {
      if (kernel.answer.in_place[k - inputs] == static_cast<int32_t>(i)) continue;
      const bool ranges = chip::is_dense(kernel.operands[i]) && chip::is_dense(kernel.operands[k]);
      const Extent other = extent_in(kernel.operands[i]);
      const auto begin = [](const Place& p, const Extent& e) { return static_cast<int64_t>(p.offset) + e.low; };
      const auto end = [](const Place& p, const Extent& e) { return static_cast<int64_t>(p.offset) + e.high; };
      if (places[i].chunk && places[i].chunk == places[k].chunk && ranges && other.high > 0 && written.high > 0 &&
          begin(places[i], other) < end(places[k], written) && begin(places[k], written) < end(places[i], other)) {
        throw chip::Failure(TRM_INVALID, cat(kernel.name, ": output ", k - inputs, " overlaps ",
                                             i < inputs ? cat("input ", i) : cat("output ", i - inputs),
                                             "; only in_place of the answer allows that"));
      }
    }
  }
}

void scribble(const Place& workspace, uint64_t bytes) {
  if (bytes) std::memset(Access(workspace).data(), 0xDB, bytes);
}

void run(const Kernel& kernel, const TrmHost* host, const Defect* defect, const std::vector<Place>& places,
         const Place& workspace) {
  const uint32_t inputs = kernel.program.input_count();
  if (!defect || !defect->keeps_workspace) scribble(workspace, kernel.answer.workspace_bytes);
  KernelRun one{kernel, host, places, workspace};
  one.copies.reserve(places.size());
  for (uint32_t k = 0; k < places.size(); ++k) {
    const Extent extent = extent_in(kernel.operands[k]);
    const auto bytes = static_cast<size_t>(extent.high - extent.low);
    one.copies.emplace_back(bytes);
    one.origins.push_back(one.copies[k].data() - extent.low);
    if (k >= inputs || bytes == 0) continue;
    const Access access(places[k]);
    if (one.copies[k].is_sparse()) {
      const TrmValue& v = kernel.operands[k];
      copy_elements(v.rank, v.dims, static_cast<uint32_t>(chip::size_of(v.dtype)), one.origins[k], v.strides,
                    access.data(), v.strides);
    } else {
      std::memcpy(one.copies[k].data(), access.data() + extent.low, bytes);
    }
  }
  if (defect && defect->before) defect->before(one);
  const std::vector<const void*> in(one.origins.begin(), one.origins.begin() + inputs);
  const std::vector<void*> out(one.origins.begin() + inputs, one.origins.end());
  TrmErr err = chip::sized<TrmErr>();
  if (evaluator(host)->run(kernel.program.get(), in.data(), out.data(), &err) != TRM_OK) {
    throw chip::Failure(TRM_FAULT, err.text);
  }
  if (defect && defect->after) defect->after(one);
  for (uint32_t k = inputs; k < places.size(); ++k) {
    const TrmValue& v = kernel.operands[k];
    if (extent_in(v).high == 0) continue;
    const Access access(places[k]);
    copy_elements(v.rank, v.dims, static_cast<uint32_t>(chip::size_of(v.dtype)), access.data(), v.strides,
                  one.origins[k], v.strides);
  }
  if (defect && defect->written) defect->written(one);
  scribble(workspace, kernel.answer.workspace_bytes);
}

}  // namespace

Copy::Copy(size_t bytes) : size_(bytes) {
  constexpr size_t kMost = size_t{1} << 28;  // to be filled, and copied whole
  if (bytes <= kMost) {
    bytes_.assign(bytes, std::byte{0xFF});
    return;
  }
  void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) {
    throw chip::Failure(TRM_OUT_OF_MEMORY, cat("the operating system refused ", bytes, " bytes of pages for a kernel"));
  }
  pages_ = static_cast<std::byte*>(pages);
}

Copy::~Copy() {
  if (pages_ != nullptr) munmap(pages_, size_);
}

Copy::Copy(Copy&& other) noexcept
    : size_(other.size_), bytes_(std::move(other.bytes_)), pages_(std::exchange(other.pages_, nullptr)) {}

const TrmEvaluate* evaluator(const TrmHost* host) {
  return host && host->get_ext ? static_cast<const TrmEvaluate*>(host->get_ext("trireme.evaluate", 1)) : nullptr;
}

TrmAnswer answer_for(const Persona& persona, const TrmHost* host, const chip::Program& program) {
  try {
    if (!persona.compute) throw Refusal{TRM_REASON_OTHER, "this persona computes nothing"};
    const TrmEvaluate* evaluate = evaluator(host);
    if (!evaluate) throw Refusal{TRM_REASON_OTHER, "the host offers no evaluator"};
    TrmAnswer answer = Query(persona, program, *evaluate).run();
    if (persona.defect && persona.defect->answer) persona.defect->answer(program, answer);
    return answer;
  } catch (const Refusal& refusal) {
    TrmAnswer answer = chip::sized<TrmAnswer>();
    answer.verdict = TRM_NO;
    answer.reason = refusal.reason;
    std::fill(std::begin(answer.in_place), std::end(answer.in_place), -1);
    chip::put_text(answer.text, refusal.text);
    return answer;
  }
}

std::unique_ptr<Kernel> prepare(const Device& device, const chip::Program& program) {
  const TrmAnswer answer = answer_for(device.persona(), device.host(), program);
  if (answer.verdict != TRM_NATIVE) {
    throw chip::Failure(TRM_UNSUPPORTED, cat("prepare of ", name_of(program), ": ",
                                             answer.verdict == TRM_NO ? answer.text : "convert its operands first"));
  }
  auto kernel = std::make_unique<Kernel>(Kernel{program, name_of(program), answer, {}});
  for (uint32_t k = 0; k < program.operand_count(); ++k) kernel->operands.push_back(program.operand(k));
  return kernel;
}

void enqueue(Device& device, const Kernel& kernel, std::span<const TrmMem> operands, const TrmMem* workspace,
             Stream& stream, uint64_t tag) {
  if (operands.size() != kernel.operands.size()) {
    throw chip::Failure(TRM_INVALID,
                        cat(kernel.name, ": ", operands.size(), " operands; its program has ", kernel.operands.size()));
  }
  Command command;
  command.tag = tag;
  command.name = kernel.name;
  command.cost_ns = kernel.answer.estimated_ns;
  std::vector<Place> places;
  for (size_t k = 0; k < operands.size(); ++k) {
    const Extent extent = extent_in(kernel.operands[k]);
    places.push_back(extent.high == 0 ? Place{} : device.place(operands[k], extent));
    if (extent.high != 0 && !places[k].chunk) {
      throw chip::Failure(TRM_INVALID,
                          cat(kernel.name, ": operand ", k, " is on the host; copy it to the device first"));
    }
    if (extent.high == 0) continue;
    if (places[k].offset % chip::size_of(kernel.operands[k].dtype)) {
      throw chip::Failure(TRM_INVALID, cat(kernel.name, ": operand ", k, " starts inside an element"));
    }
    command.uses.push_back(places[k].chunk);
  }
  check_sharing(kernel, places);
  Place work;
  if (const uint64_t bytes = kernel.answer.workspace_bytes) {
    if (!workspace || workspace->bytes < bytes || workspace->space == TRM_HOST_SPACE) {
      throw chip::Failure(TRM_INVALID, cat(kernel.name, ": needs a workspace of ", bytes, " bytes on the device"));
    }
    work = device.place(*workspace, {0, static_cast<int64_t>(bytes)});
    command.uses.push_back(work.chunk);
  }
  // The kernel may be released while the command waits: the command keeps its own copy.
  command.work = [own = std::make_shared<Kernel>(kernel), host = device.host(), defect = device.persona().defect,
                  places, work] { run(*own, host, defect, places, work); };
  device.submit(stream, std::move(command));
}

// Nodes the persona takes are grouped by how many refused nodes lie on the way to them, so no path leaves a group and
// comes back. A group is cut in node order when its operands would become too many; that keeps the parts legal.
Partition::Partition(const Persona& persona, const TrmHost* host, const chip::Program& graph) {
  const auto takes = [&](const chip::NodeView& node) {
    for (uint32_t a = 0; a < host->program->attr_count(graph.get(), node.number()); ++a) {
      TrmAttr attribute = chip::sized<TrmAttr>();
      host->program->attr_at(graph.get(), node.number(), a, &attribute);
      if (attribute.kind == TRM_ATTR_PROGRAM) return false;  // control flow is the host's
    }
    return persona.has_op(node.op());
  };
  const uint32_t count = graph.node_count();
  std::vector<uint32_t> producer(graph.value_count(), TRM_ABSENT), depth(count, 0);
  std::vector<bool> taken(count);
  std::vector<std::set<uint32_t>> readers(graph.value_count());
  for (uint32_t n = 0; n < count; ++n) {
    const chip::NodeView node = graph.node(n);
    taken[n] = takes(node);
    for (const uint32_t v : node.outputs()) {
      producer[v] = n;
      taken[n] = taken[n] && persona.dtypes.has(static_cast<DType>(graph.value(v).dtype));
    }
    for (const uint32_t v : node.inputs()) {
      if (v == TRM_ABSENT) continue;
      readers[v].insert(n);
      taken[n] = taken[n] && persona.dtypes.has(static_cast<DType>(graph.value(v).dtype));
      if (producer[v] == TRM_ABSENT) continue;
      depth[n] = std::max(depth[n], depth[producer[v]] + (taken[producer[v]] ? 0 : 1));
    }
  }
  for (uint32_t v = 0; v < graph.output_count(); ++v) readers[graph.output(v)].insert(TRM_ABSENT);

  const auto operands = [&](const std::vector<uint32_t>& part) {
    const std::set<uint32_t> inside(part.begin(), part.end());
    std::set<uint32_t> values;
    for (const uint32_t n : part) {
      const chip::NodeView node = graph.node(n);
      for (const uint32_t v : node.inputs()) {
        const bool outside = v != TRM_ABSENT && (producer[v] == TRM_ABSENT || !inside.contains(producer[v]));
        if (outside && !graph.value(v).known) values.insert(v);
      }
      for (const uint32_t v : node.outputs()) {
        if (!std::includes(inside.begin(), inside.end(), readers[v].begin(), readers[v].end())) values.insert(v);
      }
    }
    return values.size();
  };
  std::map<uint32_t, std::vector<uint32_t>> open;  // by depth
  for (uint32_t n = 0; n < count; ++n) {
    if (!taken[n]) continue;
    std::vector<uint32_t>& part = open[depth[n]];
    part.push_back(n);
    if (operands(part) <= TRM_MAX_OPERANDS || part.size() == 1) continue;
    part.pop_back();
    nodes_.push_back(std::exchange(part, {n}));
  }
  for (auto& [group, part] : open) nodes_.push_back(std::move(part));
  std::erase_if(nodes_, [&](const auto& part) { return part.size() < persona.min_nodes; });
  for (const auto& part : nodes_) parts_.push_back({static_cast<uint32_t>(part.size()), 0, part.data()});
}

}  // namespace trireme::refchip
