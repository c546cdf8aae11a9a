// The cpu chip through its ABI, for its tests: graphs on memory of any strides, held against their meaning.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <stdexcept>
#include <vector>

#include "make_op.h"
#include "trireme/base/strings.h"
#include "trireme/chip/chip.hpp"
#include "trireme/ir/registry.h"
#include "trireme/reference/accuracy.h"
#include "trireme/reference/evaluator.h"
#include "trireme/runtime/host.h"
#include "trireme/runtime/program.h"

extern "C" int32_t trm_chip_entry_v1_cpu(const TrmHost* host, TrmChip* chip);

namespace trireme::testing {

inline TrmErr no_error() { return chip::sized<TrmErr>(); }

struct Cpu {
  TrmChip chip = chip::sized<TrmChip>();
  TrmDev* dev = nullptr;
  explicit Cpu(const TrmHost& host = runtime::host_services()) {
    EXPECT_EQ(trm_chip_entry_v1_cpu(&host, &chip), TRM_OK);
    TrmErr err = no_error();
    EXPECT_EQ(chip.device->open(0, nullptr, 0, &dev, &err), TRM_OK) << err.text;
  }
  ~Cpu() { chip.device->close(dev); }
  const TrmComputeBank& compute() const { return *chip.compute; }
};

inline TrmMem memory_at(void* address, size_t bytes) { return {reinterpret_cast<uint64_t>(address), 0, bytes, 1, 0}; }

// How a tensor lies in memory.
// The last two exchange the first two axes, and put the second one last.
enum class Lie { kDense, kTurned, kGaps, kMirrored, kRepeated, kExchanged, kChannelsLast };
inline constexpr Lie kLies[] = {Lie::kDense, Lie::kTurned, Lie::kGaps, Lie::kMirrored, Lie::kRepeated};

// A tensor in memory of any strides, with guard bytes around.
class Tensor {
 public:
  Tensor(const TensorType& type, Lie lie) : Tensor(type, lie, order_of(type, lie)) {}
  // Dense with its axes in that order, outermost first.
  Tensor(const TensorType& type, const uint8_t* order)
      : Tensor(type, Lie::kDense, std::vector<int>(order, order + type.shape.rank())) {}
  const TensorType& type() const { return type_; }
  const Strides& strides() const { return strides_; }
  std::byte* first() { return bytes_.data() + (kGuard + static_cast<size_t>(offset_)) * size_of(type_.dtype); }
  TrmMem mem() { return memory_at(first(), bytes_.size()); }
  void write(const Literal& values) {
    walk([&](std::byte* at, int64_t i) {
      std::memcpy(at, static_cast<const std::byte*>(values.data()) + static_cast<size_t>(i) * size_of(type_.dtype),
                  size_of(type_.dtype));
    });
  }
  Literal read() {
    Literal values = Literal::zeros(type_.dtype, type_.shape);
    auto* to = static_cast<std::byte*>(values.mutable_data());
    walk([&](std::byte* at, int64_t i) {
      std::memcpy(to + static_cast<size_t>(i) * size_of(type_.dtype), at, size_of(type_.dtype));
    });
    return values;
  }
  // No byte outside the elements was touched.
  bool guards_hold() {
    std::vector<bool> inside(bytes_.size(), false);
    walk([&](std::byte* at, int64_t) {
      for (size_t b = 0; b < size_of(type_.dtype); ++b) inside[static_cast<size_t>(at - bytes_.data()) + b] = true;
    });
    for (size_t b = 0; b < bytes_.size(); ++b) {
      if (!inside[b] && bytes_[b] != std::byte{0xA5}) return false;
    }
    return true;
  }

 private:
  static std::vector<int> order_of(const TensorType& type, Lie lie) {
    std::vector<int> order(static_cast<size_t>(type.shape.rank()));
    std::iota(order.begin(), order.end(), 0);
    if (lie == Lie::kTurned) std::reverse(order.begin(), order.end());
    if (lie == Lie::kExchanged) std::swap(order[0], order[1]);
    if (lie == Lie::kChannelsLast) std::rotate(order.begin() + 1, order.begin() + 2, order.end());
    return order;
  }
  Tensor(const TensorType& type, Lie lie, const std::vector<int>& order) : type_(type) {
    const int rank = type.shape.rank();
    int64_t stride = lie == Lie::kGaps ? 3 : 1;
    for (int i = rank; i-- > 0;) {
      const int axis = order[static_cast<size_t>(i)];
      const bool repeated = lie == Lie::kRepeated && axis % 2 == 0;
      const bool mirrored = lie == Lie::kMirrored && axis % 2 == (rank - 1) % 2;
      strides_[static_cast<size_t>(axis)] = repeated ? 0 : mirrored ? -stride : stride;
      if (mirrored) offset_ += stride * std::max<int64_t>(0, type.shape[axis] - 1);
      if (!repeated) stride *= std::max<int64_t>(1, type.shape[axis]);
      if (lie == Lie::kGaps && !repeated) stride += 5;
    }
    elements_ = stride + 1;
    bytes_.assign((static_cast<size_t>(elements_) + 2 * kGuard) * size_of(type.dtype), std::byte{0xA5});
  }

  static constexpr size_t kGuard = 64;
  template <class F>
  void walk(F f) {
    const Shape& shape = type_.shape;
    for (int64_t i = 0; i < shape.elements(); ++i) {
      int64_t at = 0, rest = i;
      for (int axis = shape.rank(); axis-- > 0; rest /= shape[axis])
        at += rest % shape[axis] * strides_[static_cast<size_t>(axis)];
      f(first() + at * static_cast<int64_t>(size_of(type_.dtype)), i);
    }
  }
  TensorType type_;
  Strides strides_{};
  int64_t offset_ = 0, elements_ = 0;
  std::vector<std::byte> bytes_;
};

struct Ran {
  TrmAnswer answer;
  std::vector<Literal> outputs;
};

// Runs a graph on the chip with inputs (and outputs) lying in memory as told. Where the chip wants operands laid out
// otherwise, they are, as the host does. `inputs` become what the memory holds (repeated axes hold one value).
inline Ran run_on_chip(const Cpu& cpu, const Graph& graph, std::vector<Literal>& inputs, Lie in_lie = Lie::kDense,
                       Lie out_lie = Lie::kDense) {
  std::vector<Tensor> operands;
  std::vector<Strides> in_strides, out_strides;
  for (size_t i = 0; i < inputs.size(); ++i) {
    // Neighbouring inputs lie differently.
    const bool alike = in_lie == Lie::kDense || in_lie >= Lie::kExchanged;
    const Lie lie = alike ? in_lie : kLies[(static_cast<size_t>(in_lie) + i) % std::size(kLies)];
    operands.emplace_back(graph.inputs()[i].type(), lie);
    operands.back().write(inputs[i]);
    inputs[i] = operands.back().read();
    in_strides.push_back(operands.back().strides());
  }
  for (const Value& y : graph.outputs()) {
    operands.emplace_back(y.type(), out_lie);
    out_strides.push_back(operands.back().strides());
  }
  runtime::ProgramRef program = runtime::make_program(graph, in_strides, out_strides);
  Ran ran{chip::sized<TrmAnswer>(), {}};
  TrmErr err = no_error();
  if (cpu.compute().query(cpu.dev, program.get(), &ran.answer, &err) != TRM_OK) throw std::runtime_error(err.text);
  if (ran.answer.verdict == TRM_NO) return ran;
  if (ran.answer.verdict == TRM_NATIVE_AFTER_CONVERSION) {
    for (uint32_t i = 0; i < ran.answer.conversion_count; ++i) {
      const uint32_t operand = ran.answer.conversions[i].operand;
      operands[operand] = Tensor(operands[operand].type(), ran.answer.conversions[i].order);
      if (operand < inputs.size()) operands[operand].write(inputs[operand]);
      (operand < inputs.size() ? in_strides[operand] : out_strides[operand - inputs.size()]) =
          operands[operand].strides();
    }
    program = runtime::make_program(graph, in_strides, out_strides);
  }
  TrmKernel* kernel = nullptr;
  if (cpu.compute().prepare(cpu.dev, program.get(), &kernel, &err) != TRM_OK) throw std::runtime_error(err.text);
  std::vector<TrmMem> mems;
  for (Tensor& operand : operands) mems.push_back(operand.mem());
  const int32_t code = cpu.compute().enqueue(cpu.dev, kernel, mems.data(), static_cast<uint32_t>(mems.size()), nullptr,
                                             nullptr, 7, &err);
  cpu.compute().release(cpu.dev, kernel);
  if (code != TRM_OK) throw std::runtime_error(err.text);
  for (size_t i = 0; i < operands.size(); ++i) {
    EXPECT_TRUE(operands[i].guards_hold()) << "operand " << i << ": bytes outside were written";
    if (i < inputs.size()) EXPECT_TRUE(operands[i].read().same_bytes(inputs[i])) << "input " << i << " was written";
    else ran.outputs.push_back(operands[i].read());
  }
  return ran;
}

// `evaluations`: draws that measure the allowance; more for large outputs of long sums, where four miss the tail.
inline void expect_meaning(const Graph& graph, const std::vector<Literal>& inputs, const std::vector<Literal>& outputs,
                           int evaluations = 4) {
  std::vector<Evaluated> wide;
  for (const Literal& literal : inputs) wide.push_back(reference::to_evaluated(literal));
  const reference::Expectation expected = reference::expect(graph, wide, evaluations);
  ASSERT_EQ(outputs.size(), expected.values.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto mismatch = reference::compare(expected.values[i], expected.bounds[i], outputs[i]);
    EXPECT_FALSE(mismatch) << "output " << i << ": " << mismatch->text(outputs[i].elements());
  }
}

inline void check(const Cpu& cpu, const Graph& graph, std::vector<Literal> inputs, Lie in_lie, Lie out_lie,
                  int evaluations = 4) {
  SCOPED_TRACE(cat("inputs lie ", static_cast<int>(in_lie), ", outputs ", static_cast<int>(out_lie)));
  const Ran ran = run_on_chip(cpu, graph, inputs, in_lie, out_lie);
  ASSERT_NE(ran.answer.verdict, static_cast<uint32_t>(TRM_NO)) << ran.answer.text;
  ASSERT_EQ(ran.answer.runs_on_host, 0u) << ran.answer.text;
  EXPECT_GT(ran.answer.estimated_ns, 0.0);
  expect_meaning(graph, inputs, ran.outputs, evaluations);
}

inline Literal random_literal(const TensorType& type, std::mt19937& random, double low = -2.0, double high = 2.0) {
  std::uniform_real_distribution<double> uniform(low, high);
  std::vector<double> values(static_cast<size_t>(type.shape.elements()));
  for (double& v : values) {
    v = uniform(random);
    if (type.dtype == boolean) v = v > 0;
    else if (!is_float(type.dtype)) v = is_unsigned_int(type.dtype) ? std::floor(std::fabs(v)) : std::trunc(v);
  }
  return Literal::from_doubles(type.dtype, type.shape, values);
}

// The graph with the value of one of its inputs known.
inline Graph with_known(const Graph& graph, size_t input, const Literal& value) {
  Rewriter rewrite;
  rewrite.replace(graph.inputs()[input], make_node(get_op("constant"), {}, {std::make_shared<const Literal>(value)}));
  std::vector<Value> inputs = graph.inputs(), outputs;
  inputs.erase(inputs.begin() + static_cast<std::ptrdiff_t>(input));
  for (const Value& v : graph.outputs()) outputs.push_back(rewrite(v));
  return Graph(inputs, outputs);
}

struct ConvolutionForm {
  Shape x, w;
  Ints strides, low, high, dilation, spread;
  int64_t groups;

  Value of(const Value& image, const Value& weights) const {
    return op("convolution", {image, weights},
              {{"strides", strides},
               {"low", low},
               {"high", high},
               {"dilation", dilation},
               {"input_dilation", spread},
               {"groups", groups}});
  }
};

}  // namespace trireme::testing
