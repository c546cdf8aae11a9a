#include "trireme/runtime/shadow.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/reference/evaluator.h"
#include "trireme/runtime/offer.h"

namespace trireme::runtime {

namespace {

std::atomic<uint64_t>& every() {
  static std::atomic<uint64_t> value{[] {
    const char* given = std::getenv("TRIREME_SHADOW");
    return given != nullptr ? std::strtoull(given, nullptr, 10) : 0;
  }()};
  return value;
}

// An operand's elements, dense, wherever they lie.
Literal read(Device& device, const TrmMem& mem, const TensorType& type, const int64_t* strides) {
  Literal out = Literal::zeros(type.dtype, type.shape);
  const int64_t count = type.shape.elements();
  if (count == 0) return out;
  int64_t low = 0, high = 0;  // elements touched, relative to the first
  for (int a = 0; a < type.shape.rank(); ++a) {
    const int64_t span = (type.shape[a] - 1) * strides[a];
    (span < 0 ? low : high) += span;
  }
  const auto item = static_cast<int64_t>(size_of(type.dtype));
  std::vector<std::byte> bytes(static_cast<size_t>((high - low + 1) * item));
  TrmMem from = mem;
  from.offset = static_cast<uint64_t>(static_cast<int64_t>(mem.offset) + low * item);
  from.bytes = bytes.size();
  if (mem.space == TRM_HOST_SPACE) {  // host memory as another device addresses it
    std::memcpy(bytes.data(), reinterpret_cast<const std::byte*>(from.handle + from.offset), bytes.size());
  } else {
    const TrmMem to{reinterpret_cast<uint64_t>(bytes.data()), 0, bytes.size(), TRM_HOST_SPACE, 0};
    device.copy(to, from, bytes.size(), Lane::kCompute);
    device.synchronize();
  }
  auto* target = static_cast<std::byte*>(out.mutable_data());
  int64_t index[kMaxRank] = {};
  int64_t at = -low;
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(target + i * item, bytes.data() + at * item, static_cast<size_t>(item));
    for (int a = type.shape.rank() - 1; a >= 0; --a) {
      at += strides[a];
      if (++index[a] < type.shape[a]) break;
      at -= strides[a] * type.shape[a];
      index[a] = 0;
    }
  }
  return out;
}

TrmValue value_of(const TrmProgram& program, uint32_t number) {
  TrmValue value{};
  value.struct_size = sizeof value;
  program_reader().value(&program, number, &value);
  return value;
}

}  // namespace

void set_shadow(uint64_t n) { every() = n; }

bool shadow_is_due() {
  static std::atomic<uint64_t> launches{0};
  const uint64_t n = every().load(std::memory_order_relaxed);
  return n != 0 && launches.fetch_add(1, std::memory_order_relaxed) % n == 0;
}

ShadowCheck::ShadowCheck(Device& device, const ProgramRef& given, const TrmMem* operands)
    : device_(device),
      program_(*given.get()),
      operands_(operands),
      possible_(reference::can_evaluate(graph_of(program_))) {
  if (!possible_) return;
  device.synchronize();
  const TrmProgram& program = program_;
  const Graph& graph = graph_of(program);
  std::vector<Evaluated> inputs;
  for (uint32_t i = 0; i < graph.inputs().size(); ++i) {
    const TrmValue value = value_of(program, program_reader().input(&program, i));
    inputs.push_back(reference::to_evaluated(read(device, operands[i], graph.inputs()[i].type(), value.strides)));
  }
  expected_ = reference::expect(graph, inputs, 4, ask(device, given).fixed_point_bits);
}

void ShadowCheck::compare(const std::string& what, uint64_t tag) const {
  if (!possible_) return;
  device_.synchronize();
  const Graph& graph = graph_of(program_);
  for (uint32_t k = 0; k < graph.outputs().size(); ++k) {
    const TrmValue value = value_of(program_, program_reader().output(&program_, k));
    const TrmMem& mem = operands_[graph.inputs().size() + k];
    const Literal got = read(device_, mem, graph.outputs()[k].type(), value.strides);
    const auto off = reference::compare(expected_.values[k], expected_.bounds[k], got);
    if (!off) continue;
    throw Error(Code::kDeviceFault, cat(device_.name(), ": shadow check: ", what, " (tag ", tag,
                                        ") differs from the evaluator in output ", k, ": ", off->text(got.elements()),
                                        "; the chip's kernel is wrong, or less exact than the op allows"));
  }
}

}  // namespace trireme::runtime
