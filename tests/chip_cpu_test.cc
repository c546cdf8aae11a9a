// The cpu chip against the meaning of every primitive: all types, strides, fused regions, shapes at the edges, accuracy
// of its functions, bits that do not depend on the threads.
// ctest: timeout=600
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <random>

#include "make_op.h"
#include "op_case.h"
#include "trireme/base/strings.h"
#include "trireme/chip/chip.hpp"
#include "trireme/ir/registry.h"
#include "trireme/reference/accuracy.h"
#include "trireme/reference/evaluator.h"
#include "trireme/runtime/host.h"
#include "trireme/runtime/program.h"

extern "C" int32_t trm_chip_entry_v1_cpu(const TrmHost* host, TrmChip* chip);

namespace trireme::testing {
namespace {

// ---- the chip through its ABI -------------------------------------------------------------------------------------

TrmErr no_error() { return chip::sized<TrmErr>(); }

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

TrmMem memory_at(void* address, size_t bytes) { return {reinterpret_cast<uint64_t>(address), 0, bytes, 1, 0}; }

// How a tensor lies in memory.
// The last two exchange the first two axes, and put the second one last.
enum class Lie { kDense, kTurned, kGaps, kMirrored, kRepeated, kExchanged, kChannelsLast };
constexpr Lie kLies[] = {Lie::kDense, Lie::kTurned, Lie::kGaps, Lie::kMirrored, Lie::kRepeated};

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
Ran run_on_chip(const Cpu& cpu, const Graph& graph, std::vector<Literal>& inputs, Lie in_lie = Lie::kDense,
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
void expect_meaning(const Graph& graph, const std::vector<Literal>& inputs, const std::vector<Literal>& outputs,
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

void check(const Cpu& cpu, const Graph& graph, std::vector<Literal> inputs, Lie in_lie, Lie out_lie,
           int evaluations = 4) {
  SCOPED_TRACE(cat("inputs lie ", static_cast<int>(in_lie), ", outputs ", static_cast<int>(out_lie)));
  const Ran ran = run_on_chip(cpu, graph, inputs, in_lie, out_lie);
  ASSERT_NE(ran.answer.verdict, static_cast<uint32_t>(TRM_NO)) << ran.answer.text;
  ASSERT_EQ(ran.answer.runs_on_host, 0u) << ran.answer.text;
  EXPECT_GT(ran.answer.estimated_ns, 0.0);
  expect_meaning(graph, inputs, ran.outputs, evaluations);
}

Literal random_literal(const TensorType& type, std::mt19937& random, double low = -2.0, double high = 2.0) {
  std::uniform_real_distribution<double> uniform(low, high);
  std::vector<double> values(static_cast<size_t>(type.shape.elements()));
  for (double& v : values) {
    v = uniform(random);
    if (type.dtype == boolean) v = v > 0;
    else if (!is_float(type.dtype)) v = is_unsigned_int(type.dtype) ? std::floor(std::fabs(v)) : std::trunc(v);
  }
  return Literal::from_doubles(type.dtype, type.shape, values);
}

// ---- every primitive ----------------------------------------------------------------------------------------------

class EveryPrimitive : public ::testing::TestWithParam<const OpDecl*> {};

TEST_P(EveryPrimitive, AgreesWithItsMeaning) {
  const Cpu cpu;
  for (const OpCase& given : cases_of(*GetParam())) {
    SCOPED_TRACE(given.name());
    const Instance instance = instantiate(given);
    const Graph graph = instance.graph();
    if (graph.outputs()[0].node().op().kind.value == Kind::kView) continue;
    try {
      for (Lie lie : kLies) check(cpu, graph, instance.inputs, lie, Lie::kDense);
      for (Lie lie : {Lie::kTurned, Lie::kGaps, Lie::kMirrored}) check(cpu, graph, instance.inputs, Lie::kDense, lie);
    } catch (const std::exception& failure) {
      ADD_FAILURE() << failure.what();
    }
    if (HasFatalFailure()) return;
  }
}

std::vector<const OpDecl*> primitives() {
  std::vector<const OpDecl*> list;
  for (const OpDecl* decl : registered_ops()) {
    const bool moved = decl->tier.value == Tier::kHost && decl->kind.value == Kind::kMovement;
    if (moved || (decl->tier.value != Tier::kHost && decl->tier.value != Tier::kComposite)) list.push_back(decl);
  }
  return list;
}
INSTANTIATE_TEST_SUITE_P(Cpu, EveryPrimitive, ::testing::ValuesIn(primitives()), OpName());

// ---- functions ------------------------------------------------------------------------------------------------------

// Distance in representable floats; signs of zero count.
int64_t float_steps(float a, float b) {
  const auto ordered = [](float x) {
    const auto bits = std::bit_cast<int32_t>(x);
    return bits < 0 ? int64_t{INT32_MIN} - bits - 1 : int64_t{bits};
  };
  return std::llabs(ordered(a) - ordered(b));
}

TEST(CpuFunctions, WithinFourUnitsAndRightAtTheEdges) {
  const std::pair<const char*, double (*)(double)> functions[] = {
      {"exp", [](double x) { return std::exp(x); }},
      {"log", [](double x) { return std::log(x); }},
      {"expm1", [](double x) { return std::expm1(x); }},
      {"log1p", [](double x) { return std::log1p(x); }},
      {"tanh", [](double x) { return std::tanh(x); }},
      {"erf", [](double x) { return std::erf(x); }},
      {"sin", [](double x) { return std::sin(x); }},
      {"cos", [](double x) { return std::cos(x); }},
      {"tan", [](double x) { return std::tan(x); }},
      {"sqrt", [](double x) { return std::sqrt(x); }},
      {"cbrt", [](double x) { return std::cbrt(x); }},
      {"rsqrt", [](double x) { return 1.0 / std::sqrt(x); }},
      {"floor", [](double x) { return std::floor(x); }},
      {"ceil", [](double x) { return std::ceil(x); }},
      {"round_even", [](double x) { return std::nearbyint(x); }},
      {"logistic", [](double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }},
  };
  constexpr float kInf = std::numeric_limits<float>::infinity();
  std::vector<float> points = {0.0f,   -0.0f,          kInf,    -kInf,    std::nanf(""), 1e-45f, -1e-45f,
                               1e-39f, 1.1754944e-38f, 3.4e38f, -3.4e38f, 1.0f,          -1.0f,  0.5f,
                               2.5f,   88.72f,         88.73f,  -103.9f,  -104.1f,       -87.4f};
  std::mt19937 random(3);
  std::uniform_int_distribution<uint32_t> any_bits;
  std::uniform_real_distribution<float> near(-12.0f, 12.0f), middle(-110.0f, 110.0f);
  for (int i = 0; i < 40000; ++i) {
    points.push_back(std::bit_cast<float>(any_bits(random)));
    points.push_back(near(random));
    points.push_back(middle(random));
    points.push_back(near(random) * 1e-3f);
  }
  const Cpu cpu;
  const TensorType type{f32, {static_cast<int64_t>(points.size())}};
  const Value x = parameter(type.dtype, type.shape);
  for (const auto& [name, truth] : functions) {
    if (!find_op(name)) continue;
    std::vector<Literal> inputs = {Literal::from(std::span<const float>(points), type.shape)};
    const Ran ran = run_on_chip(cpu, Graph({x}, {op(name, {x})}), inputs);
    ASSERT_EQ(ran.outputs.size(), 1u) << name;
    int64_t worst = 0;
    size_t where = 0;
    for (size_t i = 0; i < points.size(); ++i) {
      const float expected = static_cast<float>(truth(points[i])), got = ran.outputs[0].values<float>()[i];
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(got)) << name << "(" << points[i] << ") = " << got;
        continue;
      }
      const int64_t steps = std::isnan(got) ? INT64_MAX : float_steps(expected, got);
      if (steps > worst) worst = steps, where = i;
    }
    EXPECT_LE(worst, 4) << name << "(" << points[where] << ") = " << ran.outputs[0].values<float>()[where]
                        << ", expected " << truth(points[where]);
  }
}

TEST(CpuFunctions, HalvesKeepInfinitiesAndRounding) {
  const Cpu cpu;
  for (DType type : {f16, bf16}) {
    std::vector<double> values;
    for (uint32_t bits = 0; bits < 65536; ++bits) {
      values.push_back(type == f16 ? static_cast<double>(half_bits_to_float(static_cast<uint16_t>(bits)))
                                   : static_cast<double>(std::bit_cast<float>(bits << 16)));
    }
    const Shape shape{65536};
    const Value x = parameter(type, shape);
    std::vector<Literal> inputs = {Literal::from_doubles(type, shape, values)};
    for (const char* name : {"neg", "sqrt", "exp"}) {
      const Graph graph({x}, {op(name, {x})});
      const Ran ran = run_on_chip(cpu, graph, inputs);
      expect_meaning(graph, inputs, ran.outputs);
    }
  }
}

// ---- composites taken whole -----------------------------------------------------------------------------------------

TEST(CpuComposites, NormalisationsAgreeWithTheirDecomposition) {
  const Cpu cpu;
  for (const char* name : {"softmax", "log_softmax", "layer_norm", "rms_norm"}) {
    const OpDecl* decl = find_op(name);
    ASSERT_NE(decl, nullptr) << name;
    for (const OpCase& given : cases_of(*decl)) {
      SCOPED_TRACE(given.name());
      const Instance instance = instantiate(given);
      for (Lie lie : {Lie::kDense, Lie::kTurned}) check(cpu, instance.graph(), instance.inputs, lie, Lie::kDense, 16);
    }
  }
  // Lines longer than a tile.
  std::mt19937 random(43);
  const Value x = parameter(f32, {3, 1500}), weight = parameter(f32, {1500});
  const std::vector<Literal> inputs = {random_literal(x.type(), random, -30, 30),
                                       random_literal(weight.type(), random)};
  check(cpu, Graph({x}, {op("softmax", {x}, {{"axis", int64_t{-1}}})}), {inputs[0]}, Lie::kDense, Lie::kDense, 16);
  check(cpu, Graph({x, weight}, {op("layer_norm", {x, weight, Value()})}), inputs, Lie::kDense, Lie::kDense, 16);
}

// ---- fused regions --------------------------------------------------------------------------------------------------

Graph random_region(std::mt19937& random, const Shape& shape, bool reduce) {
  const auto pick = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random); };
  std::vector<Value> inputs;
  for (DType type : {f32, f32, bf16, i32, boolean}) inputs.push_back(parameter(type, shape));
  std::vector<Value> reals(inputs.begin(), inputs.begin() + 2), integers = {inputs[3]}, truths = {inputs[4]};
  reals.push_back(op("convert", {inputs[2]}, {{"dtype", f32}}));
  for (int i = 0; i < 12; ++i) {
    const Value a = reals[pick(reals.size())], b = reals[pick(reals.size())];
    const Value n = integers[pick(integers.size())], m = integers[pick(integers.size())];
    const Value t = truths[pick(truths.size())];
    switch (pick(10)) {
      case 0: reals.push_back(op("add", {a, b})); break;
      case 1: reals.push_back(op("mul", {a, b})); break;
      case 2: reals.push_back(op("tanh", {a})); break;
      case 3: reals.push_back(op("max", {a, b})); break;
      case 4: truths.push_back(op("compare", {a, b}, {{"kind", std::string("lt")}})); break;
      case 5: reals.push_back(op("select", {t, a, b})); break;
      case 6: integers.push_back(op("sub", {n, m})); break;
      case 7: reals.push_back(op("convert", {n}, {{"dtype", f32}})); break;
      case 8:
        integers.push_back(op("iota", {},
                              {{"shape", shape.vector()},
                               {"dtype", i32},
                               {"axis", static_cast<int64_t>(pick(static_cast<size_t>(shape.rank())))}}));
        break;
      case 9:
        reals.push_back(op("mul", {a, op("fill", {}, {{"shape", shape.vector()}, {"dtype", f32}, {"value", 0.25}})}));
        break;
    }
  }
  if (reduce) {
    const Ints axes[] = {{}, {0}, {static_cast<int64_t>(shape.rank()) - 1}, {1}};
    const Value y = op(pick(2) ? "reduce_sum" : "reduce_max", {reals.back()},
                       {{"axes", axes[pick(4)]}, {"keepdims", pick(2) == 0}});
    return {inputs, {y}};
  }
  return {inputs, {reals.back(), integers.back(), op("convert", {reals.back()}, {{"dtype", bf16}})}};
}

TEST(CpuRegion, RandomProgramsAgreeWithTheirMeaning) {
  const Cpu cpu;
  std::mt19937 random(17);
  const Shape shapes[] = {{3, 5}, {1, 1}, {7, 600}, {130, 3}, {2, 3, 4, 33}, {0, 4}, {513, 2, 1}};
  for (int round = 0; round < 60; ++round) {
    const Shape& shape = shapes[static_cast<size_t>(round) % std::size(shapes)];
    SCOPED_TRACE(cat("round ", round, " shape ", shape));
    const Graph graph = random_region(random, shape, round % 2 == 1);
    std::vector<Value> used;
    const auto nodes = graph.nodes();
    for (const Value& v : graph.inputs()) {
      if (std::find(nodes.begin(), nodes.end(), &v.node()) != nodes.end()) used.push_back(v);
    }
    const Graph trimmed(used, graph.outputs());
    std::vector<Literal> inputs;
    for (const Value& v : used) inputs.push_back(random_literal(v.type(), random));
    if (std::all_of(graph.outputs().begin(), graph.outputs().end(),
                    [](const Value& y) { return y.node().is("parameter"); }))
      continue;
    if (std::any_of(graph.outputs().begin(), graph.outputs().end(),
                    [](const Value& y) { return y.node().is("parameter"); }))
      continue;
    check(cpu, trimmed, inputs, kLies[static_cast<size_t>(round / 2) % std::size(kLies)],
          round % 3 ? Lie::kDense : Lie::kTurned);
    if (HasFatalFailure()) return;
  }
}

TEST(CpuRegion, ResultMayOverwriteAnInput) {
  const Cpu cpu;
  std::mt19937 random(5);
  const TensorType type{f32, {1000}};
  const Value x = parameter(f32, type.shape), y = parameter(f32, type.shape);
  const Graph graph({x, y}, {op("mul", {op("add", {x, y}), op("sub", {x, y})})});
  const auto program = runtime::make_program(graph);
  TrmAnswer answer = chip::sized<TrmAnswer>();
  TrmErr err = no_error();
  ASSERT_EQ(cpu.compute().query(cpu.dev, program.get(), &answer, &err), TRM_OK);
  ASSERT_GE(answer.in_place[0], 0);
  Literal values[2] = {random_literal(type, random), random_literal(type, random)};
  Tensor memory[2] = {Tensor(type, Lie::kDense), Tensor(type, Lie::kDense)};
  for (int i = 0; i < 2; ++i) memory[i].write(values[i]);
  TrmKernel* kernel = nullptr;
  ASSERT_EQ(cpu.compute().prepare(cpu.dev, program.get(), &kernel, &err), TRM_OK) << err.text;
  const TrmMem mems[] = {memory[0].mem(), memory[1].mem(), memory[answer.in_place[0]].mem()};
  EXPECT_EQ(cpu.compute().enqueue(cpu.dev, kernel, mems, 3, nullptr, nullptr, 1, &err), TRM_OK) << err.text;
  cpu.compute().release(cpu.dev, kernel);
  expect_meaning(graph, {values[0], values[1]}, {memory[answer.in_place[0]].read()});
}

TEST(CpuRegion, ReductionsOfManyShapes) {
  const Cpu cpu;
  std::mt19937 random(23);
  struct Given {
    Shape shape;
    Ints axes;
  };
  const Given list[] = {{{100000}, {}},
                        {{300, 700}, {0}},
                        {{300, 700}, {1}},
                        {{5, 40000}, {1}},
                        {{40000, 5}, {0}},
                        {{70000, 3}, {1}},
                        {{3, 70000}, {0}},
                        {{8, 16, 30, 30}, {0, 2, 3}},
                        {{4, 0}, {1}},
                        {{0, 4}, {1}},
                        {{2, 3, 2, 3, 2, 3}, {0, 2, 4}},
                        {{1, 1}, {0, 1}},
                        {{6, 50, 70}, {1}}};
  for (const Given& given : list) {
    for (DType type : {f32, bf16, i32}) {
      for (const char* name : {"reduce_sum", "reduce_max"}) {
        SCOPED_TRACE(cat(name, " ", type, given.shape, " ", given.axes));
        const Value x = parameter(type, given.shape);
        const Graph graph({x}, {op(name, {x}, {{"axes", given.axes}, {"keepdims", false}})});
        const std::vector<Literal> inputs = {random_literal(x.type(), random)};
        for (Lie lie : {Lie::kDense, Lie::kTurned}) check(cpu, graph, inputs, lie, Lie::kDense, 16);
      }
    }
  }
}

// ---- products -------------------------------------------------------------------------------------------------------

// |chip - exact| <= (k + 8) u sum |a||b| + final rounding, element by element.
void check_product(const Cpu& cpu, DType type, int64_t batch, int64_t m, int64_t k, int64_t n, Lie lie, bool known) {
  SCOPED_TRACE(cat("dot_general ", type, " b", batch, " m", m, " k", k, " n", n, " lie ", static_cast<int>(lie),
                   known ? " known" : ""));
  std::mt19937 random(static_cast<uint32_t>(m * 31 + k * 7 + n));
  const TensorType a_type{type, {batch, m, k}}, b_type{type, {batch, k, n}};
  const double range = is_float(type) ? 2.0 : 90.0;
  std::vector<Literal> inputs = {random_literal(a_type, random, -range, range),
                                 random_literal(b_type, random, -range, range)};
  const Value a = parameter(type, a_type.shape), b = parameter(type, b_type.shape);
  Literal known_b = inputs[1];
  Ran ran;
  if (known) {
    const Value constant = op("constant", {}, {{"value", std::make_shared<const Literal>(inputs[1])}});
    inputs.pop_back();
    ran = run_on_chip(cpu, Graph({a}, {op("dot_general", {a, constant})}), inputs, lie);
    inputs.push_back(known_b);
  } else {
    ran = run_on_chip(cpu, Graph({a, b}, {op("dot_general", {a, b})}), inputs, lie);
  }
  ASSERT_EQ(ran.outputs.size(), 1u) << ran.answer.text;
  const auto x = inputs[0].to_doubles(), w = inputs[1].to_doubles(), y = ran.outputs[0].to_doubles();
  const double u = type == f64 ? 0x1p-53 : 0x1p-24;
  for (int64_t c = 0; c < batch * m * n; ++c) {
    const int64_t col = c % n, row = c / n;
    double sum = 0, magnitude = 0;
    int64_t exact = 0;
    for (int64_t i = 0; i < k; ++i) {
      const double left = x[static_cast<size_t>(row * k + i)],
                   right = w[static_cast<size_t>((row / m * k + i) * n + col)];
      sum += left * right;
      magnitude += std::fabs(left * right);
      exact += static_cast<int64_t>(left) * static_cast<int64_t>(right);
    }
    const double got = y[static_cast<size_t>(c)];
    if (is_float(type)) {
      const double allowed = static_cast<double>(k + 8) * u * magnitude + 2 * unit_roundoff(type) * std::fabs(sum);
      ASSERT_LE(std::fabs(got - sum), allowed) << "element " << c;
    } else {
      ASSERT_EQ(got, static_cast<double>(wrap_integer(type, exact))) << "element " << c;
    }
  }
}

TEST(CpuProduct, SizesAtTheEdges) {
  const Cpu cpu;
  const int64_t sizes[][3] = {{1, 1, 1},       {1, 0, 5},    {0, 3, 4},     {3, 4, 0},     {1, 64, 1000},  {1, 1000, 3},
                              {4, 300, 700},   {5, 17, 33},  {12, 256, 32}, {13, 257, 33}, {150, 300, 70}, {33, 600, 1},
                              {145, 513, 513}, {2, 5, 2000}, {16, 4000, 8}, {64, 3000, 40}};
  for (const auto& [m, k, n] : sizes) {
    for (Lie lie : {Lie::kDense, Lie::kTurned, Lie::kMirrored, Lie::kRepeated}) {
      check_product(cpu, f32, 1, m, k, n, lie, false);
      if (HasFatalFailure()) return;
    }
    check_product(cpu, f32, 1, m, k, n, Lie::kDense, true);
    check_product(cpu, f64, 1, m, k, n, Lie::kTurned, false);
  }
  for (DType type : {f16, bf16, i8, u16, i32, i64, f64}) {
    check_product(cpu, type, 3, 13, 40, 35, Lie::kDense, false);
    check_product(cpu, type, 3, 2, 300, 70, Lie::kTurned, false);
    check_product(cpu, type, 2, 50, 40, 35, Lie::kDense, true);
  }
  for (Lie lie : {Lie::kDense, Lie::kTurned, Lie::kMirrored, Lie::kRepeated}) {
    check_product(cpu, bf16, 1, 173, 601, 97, lie, lie == Lie::kDense);
    if (HasFatalFailure()) return;
  }
  check_product(cpu, f32, 24, 33, 16, 33, Lie::kDense, false);
}

// ---- convolutions ---------------------------------------------------------------------------------------------------

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
const ConvolutionForm kConvolutionForms[] = {
    {{2, 3, 9, 11}, {5, 3, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
    {{1, 8, 14, 14}, {20, 8, 1, 1}, {1, 1}, {0, 0}, {0, 0}, {1, 1}, {1, 1}, 1},
    {{1, 3, 23, 23}, {16, 3, 7, 7}, {2, 2}, {3, 3}, {3, 3}, {1, 1}, {1, 1}, 1},
    {{2, 6, 10, 13}, {6, 1, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 6},
    {{2, 6, 10, 13}, {12, 1, 3, 5}, {2, 2}, {1, 2}, {0, 2}, {1, 1}, {1, 1}, 6},
    {{2, 6, 10, 13}, {9, 2, 3, 3}, {1, 2}, {1, 0}, {2, 1}, {2, 1}, {1, 1}, 3},
    {{2, 4, 5, 6}, {3, 4, 3, 3}, {1, 1}, {2, 2}, {2, 3}, {1, 1}, {2, 2}, 1},
    {{1, 4, 5, 6}, {4, 1, 3, 3}, {1, 1}, {2, 2}, {2, 3}, {1, 1}, {2, 3}, 4},
    {{2, 4, 9, 9}, {4, 1, 5, 5}, {1, 1}, {2, 2}, {2, 2}, {1, 1}, {1, 1}, 4},
    {{1, 3, 7, 90}, {6, 1, 3, 3}, {2, 1}, {0, 1}, {1, 1}, {1, 2}, {1, 1}, 3},
    {{1, 2, 4, 5, 6}, {4, 1, 2, 3, 3}, {1, 1, 2}, {1, 1, 0}, {0, 1, 1}, {2, 1, 1}, {1, 1, 1}, 2},
    {{3, 5, 13, 17}, {30, 5, 5, 3}, {1, 1}, {4, 1}, {0, 1}, {1, 1}, {1, 1}, 1},
    {{2, 5, 13, 17}, {30, 5, 3, 7}, {1, 1}, {2, 3}, {1, 3}, {2, 1}, {1, 1}, 1},
    {{3, 4, 31}, {7, 4, 5}, {2}, {2}, {2}, {3}, {1}, 1},
    {{2, 3, 4, 5, 6}, {4, 3, 2, 3, 2}, {1, 2, 1}, {0, 1, 1}, {1, 1, 0}, {1, 1, 2}, {1, 1, 1}, 1},
    {{8, 16, 4, 4}, {24, 16, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
    {{3, 5, 20, 20}, {7, 5, 18, 18}, {1, 1}, {1, 0}, {0, 1}, {1, 1}, {1, 1}, 1},
    {{1, 3, 23, 40}, {13, 3, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
    {{2, 20, 15, 16}, {37, 20, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
    {{1, 12, 13, 17}, {9, 12, 3, 3}, {1, 1}, {0, 2}, {2, 1}, {1, 1}, {1, 1}, 1},
    {{3, 11, 20, 21}, {19, 11, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
    {{2, 24, 8, 9}, {40, 24, 3, 3}, {1, 1}, {1, 1}, {2, 1}, {1, 1}, {2, 2}, 1},
};

TEST(CpuConvolution, ManyForms) {
  const Cpu cpu;
  std::mt19937 random(29);
  for (const ConvolutionForm& g : kConvolutionForms) {
    for (DType type : {f32, f64, bf16}) {
      SCOPED_TRACE(cat("x ", g.x, " w ", g.w, " strides ", g.strides, " groups ", g.groups, " ", type));
      const Value x = parameter(type, g.x), w = parameter(type, g.w);
      const Graph graph({x, w}, {g.of(x, w)});
      const std::vector<Literal> inputs = {random_literal(x.type(), random), random_literal(w.type(), random)};
      check(cpu, graph, inputs, Lie::kDense, Lie::kDense, 16);
      if (type == f32) check(cpu, graph, inputs, Lie::kTurned, Lie::kDense, 16);
      if (HasFatalFailure()) return;
    }
  }
}

// The graph with the value of one of its inputs known.
Graph with_known(const Graph& graph, size_t input, const Literal& value) {
  Rewriter rewrite;
  rewrite.replace(graph.inputs()[input], make_node(get_op("constant"), {}, {std::make_shared<const Literal>(value)}));
  std::vector<Value> inputs = graph.inputs(), outputs;
  inputs.erase(inputs.begin() + static_cast<std::ptrdiff_t>(input));
  for (const Value& v : graph.outputs()) outputs.push_back(rewrite(v));
  return Graph(inputs, outputs);
}

// Known weights are packed ahead, and the chip wants channels last. What follows is done on the sums: 0 nothing,
// 1 scale and bias of each channel, 2 these and bounds, 3 these, a residual and a bound, 4 hard swish after a bias.
TEST(CpuConvolution, KnownWeights) {
  const Cpu cpu;
  std::mt19937 random(43);
  for (const ConvolutionForm& g : kConvolutionForms) {
    for (DType type : {f32, f16, bf16}) {
      for (int ending = 0; ending < 5; ++ending) {
        if (type != f32 && ending != (type == f16 ? 0 : 3)) continue;  // their sums are those of f32
        SCOPED_TRACE(
            cat("x ", g.x, " w ", g.w, " strides ", g.strides, " groups ", g.groups, " ", type, " ending ", ending));
        const Value x = parameter(type, g.x), w = parameter(type, g.w);
        const Value sums = g.of(x, w), residual = parameter(type, sums.shape());
        const auto constant = [&](const Literal& literal) {
          return make_node(get_op("constant"), {}, {std::make_shared<const Literal>(literal)});
        };
        const auto everywhere = [&](double number) {
          return op("broadcast_to", {constant(Literal::filled(type, Shape{}, number))},
                    {{"shape", sums.shape().vector()}});
        };
        const auto per_channel = [&] {
          std::vector<int64_t> sizes(static_cast<size_t>(sums.shape().rank()), 1);
          sizes[1] = sums.shape()[1];
          return op("broadcast_to", {constant(random_literal({type, Shape(sizes)}, random))},
                    {{"shape", sums.shape().vector()}});
        };
        Value y = sums;
        if (ending >= 1 && ending <= 3) y = op("add", {op("mul", {y, per_channel()}), per_channel()});
        if (ending == 2) y = op("min", {op("max", {y, everywhere(0)}), everywhere(6)});
        if (ending == 3) y = op("max", {op("add", {residual, y}), everywhere(-1)});
        if (ending == 4) {
          y = op("add", {y, per_channel()});
          const Value gate = op("min", {op("max", {op("add", {y, everywhere(3)}), everywhere(0)}), everywhere(6)});
          y = op("mul", {op("mul", {y, gate}), everywhere(1.0 / 6)});
        }
        const Graph graph = ending == 3 ? Graph({x, w, residual}, {y}) : Graph({x, w}, {y});
        std::vector<Literal> inputs;
        for (const Value& v : graph.inputs()) inputs.push_back(random_literal(v.type(), random));
        const Graph known = with_known(graph, 1, inputs[1]);
        inputs.erase(inputs.begin() + 1);
        for (Lie lie : {Lie::kDense, Lie::kTurned}) {
          if (lie == Lie::kTurned && ending != 3) continue;
          std::vector<Literal> given = inputs;
          const Ran ran = run_on_chip(cpu, known, given, lie, lie);
          ASSERT_NE(ran.answer.verdict, static_cast<uint32_t>(TRM_NO)) << ran.answer.text;
          expect_meaning(known, given, ran.outputs, 16);
          if (HasFailure()) return;
        }
      }
    }
  }
}

// Gradients of weights as the pullback of a convolution writes them: batch and channels exchanged, the kernel an image.
const ConvolutionForm kWeightGradientForms[] = {
    // One image channel and three, whose kernel lines are runs; the last of them with steps.
    {{1, 5, 14, 13}, {16, 5, 14, 13}, {1, 1}, {2, 2}, {2, 2}, {1, 1}, {1, 1}, 1},
    {{3, 4, 21, 22}, {33, 4, 11, 11}, {1, 1}, {3, 3}, {2, 2}, {2, 2}, {1, 1}, 1},
    // Several blocks of channels and of outputs; parts of pixels; slices of sums.
    {{29, 3, 9, 10}, {37, 3, 9, 10}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
    {{16, 9, 14, 14}, {7, 9, 14, 14}, {1, 1}, {2, 2}, {2, 2}, {1, 1}, {1, 1}, 1},
    {{64, 2, 6, 7}, {70, 2, 6, 7}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
    // 1 x 1, steps, distances, one axis, one image, gradients as large as the kernel.
    {{10, 2, 7, 9}, {20, 2, 7, 9}, {1, 1}, {0, 0}, {0, 0}, {1, 1}, {1, 1}, 1},
    {{10, 2, 13, 11}, {12, 2, 7, 6}, {1, 1}, {1, 1}, {1, 1}, {2, 2}, {1, 1}, 1},
    {{9, 2, 12, 13}, {5, 2, 8, 11}, {2, 1}, {1, 0}, {1, 2}, {1, 1}, {1, 1}, 1},
    {{12, 4, 31}, {17, 4, 29}, {1}, {1}, {1}, {1}, {1}, 1},
    {{11, 1, 8, 8}, {13, 1, 8, 8}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
    // Enough tiles for Winograd: odd sizes, uneven padding, parts of the tiles and of the outputs.
    {{12, 3, 16, 17}, {20, 3, 16, 17}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
    {{9, 6, 13, 14}, {75, 6, 11, 14}, {1, 1}, {0, 2}, {0, 0}, {1, 1}, {1, 1}, 1},
    {{33, 5, 15, 14}, {37, 5, 15, 14}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
    {{9, 12, 28, 30}, {10, 12, 28, 30}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
};

// Those of depthwise convolutions: the images of a group are its channels.
const ConvolutionForm kDepthwiseGradientForms[] = {
    {{1, 6, 9, 21}, {3, 2, 9, 21}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 3},
    {{1, 35, 13, 12}, {7, 5, 7, 6}, {1, 1}, {1, 1}, {1, 0}, {2, 2}, {1, 1}, 7},
    {{1, 12, 11, 40}, {8, 3, 9, 12}, {2, 1}, {1, 0}, {1, 0}, {1, 3}, {1, 1}, 4},
    {{1, 10, 37}, {10, 1, 33}, {1}, {0}, {0}, {1}, {1}, 10},
    {{1, 4, 5, 17}, {4, 1, 6, 16}, {1, 1}, {2, 1}, {1, 0}, {1, 1}, {1, 1}, 4},
};

TEST(CpuConvolution, WeightGradients) {
  const Cpu cpu;
  std::mt19937 random(53);
  for (const ConvolutionForm& g : kWeightGradientForms) {
    SCOPED_TRACE(cat("x ", g.x, " w ", g.w, " dilation ", g.dilation));
    const Value x = parameter(f32, g.x), w = parameter(f32, g.w);
    const Graph graph({x, w}, {g.of(x, w)});
    std::vector<Literal> inputs = {random_literal(x.type(), random), random_literal(w.type(), random)};
    check(cpu, graph, inputs, Lie::kExchanged, Lie::kExchanged, 16);
    check(cpu, graph, inputs, Lie::kExchanged, Lie::kDense, 16);
    if (HasFatalFailure()) return;
    const Ran ran = run_on_chip(cpu, graph, inputs, Lie::kExchanged, Lie::kExchanged);
    bool first_axis_last = false;
    for (uint32_t i = 0; i < ran.answer.conversion_count; ++i) {
      const TrmConversion& c = ran.answer.conversions[i];
      first_axis_last |= c.operand == 1 && c.order[g.w.rank() - 1] == 0;
    }
    EXPECT_TRUE(first_axis_last) << "the gradients were not read pixel by pixel";
  }
}

TEST(CpuConvolution, DepthwiseWeightGradients) {
  const Cpu cpu;
  std::mt19937 random(71);
  for (const ConvolutionForm& g : kDepthwiseGradientForms) {
    SCOPED_TRACE(cat("x ", g.x, " w ", g.w, " dilation ", g.dilation));
    const Value x = parameter(f32, g.x), w = parameter(f32, g.w);
    const Graph graph({x, w}, {g.of(x, w)});
    const std::vector<Literal> inputs = {random_literal(x.type(), random), random_literal(w.type(), random)};
    for (Lie lie : {Lie::kDense, Lie::kTurned, Lie::kExchanged}) check(cpu, graph, inputs, lie, lie, 16);
    if (HasFatalFailure()) return;
  }
}

// What is not finite reaches the weights that it is part of and no others, with tiles and without.
TEST(CpuConvolution, WeightGradientsOfUnboundedImages) {
  const Cpu cpu;
  std::mt19937 random(59);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (int64_t images : {2, 5}) {
    const Shape pixels_of = {12, images, 14, 13}, gradients_of = {20, images, 14, 13};
    const ConvolutionForm g = {pixels_of, gradients_of, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1};
    const Value x = parameter(f32, g.x), w = parameter(f32, g.w);
    const Graph graph({x, w}, {g.of(x, w)});
    for (double special : {kInfinity, -kInfinity, std::nan(""), 1e38}) {
      std::vector<double> pixels = random_literal(x.type(), random).to_doubles();
      pixels[static_cast<size_t>(3 * images + 1) * 14 * 13] = special;  // channel 3, a corner
      std::vector<Literal> inputs = {Literal::from_doubles(f32, g.x, pixels),
                                     random_literal(w.type(), random, -0.5, 0.5)};
      const Ran ran = run_on_chip(cpu, graph, inputs, Lie::kExchanged, Lie::kExchanged);
      const std::vector<double> got = ran.outputs.at(0).to_doubles();
      for (size_t i = 0; i < got.size(); ++i) {
        const bool touched = i / (20 * 9) == 3 && i % 9 / 3 <= 1 && i % 3 <= 1;
        ASSERT_EQ(std::isfinite(got[i]), !touched || special == 1e38) << special << " element " << i;
        if (!touched && special != 1e38) {
          ASSERT_LT(std::abs(got[i]), 1e3) << special << " element " << i;
        }
      }
    }
  }
}

// What is not finite reaches the results it is part of and no others, which tiles of several pixels must not change.
TEST(CpuConvolution, UnboundedImages) {
  const Cpu cpu;
  std::mt19937 random(47);
  const ConvolutionForm g = {{4, 12, 16, 17}, {20, 12, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1};
  const Value x = parameter(f32, g.x), w = parameter(f32, g.w);
  const Literal weights = random_literal(w.type(), random);
  const Graph graph({x, w}, {g.of(x, w)}), known = with_known(graph, 1, weights);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (double special : {kInfinity, -kInfinity, std::nan(""), 1e38}) {
    std::vector<double> pixels = random_literal(x.type(), random).to_doubles();
    pixels[5 * 17 + 6] = special;
    for (bool is_known : {true, false}) {
      std::vector<Literal> inputs = {Literal::from_doubles(f32, g.x, pixels)};
      if (!is_known) inputs.push_back(weights);
      const Ran ran = run_on_chip(cpu, is_known ? known : graph, inputs);
      const std::vector<double> got = ran.outputs.at(0).to_doubles();
      for (int64_t i = 0; i < static_cast<int64_t>(got.size()); ++i) {
        const bool touched = i < 20 * 16 * 17 && std::abs(i / 17 % 16 - 5) <= 1 && std::abs(i % 17 - 6) <= 1;
        const double magnitude = std::abs(got[static_cast<size_t>(i)]);
        const double most = !touched ? 1e3 : special == 1e38 ? 3.4e38 : kInfinity;
        ASSERT_EQ(magnitude <= most, !touched || !std::isnan(special)) << special << " element " << i;
        if (touched && special != 1e38) {
          ASSERT_FALSE(std::isfinite(magnitude)) << special << " element " << i;
        }
      }
    }
  }
}

// Channels that a decay has put to sleep: all their weights are denormals, which the chip multiplies on another scale.
TEST(CpuConvolution, FaintChannels) {
  const Cpu cpu;
  std::mt19937 random(41);
  for (size_t i : {size_t{0}, size_t{1}, size_t{5}, size_t{15}}) {  // padded, 1 x 1, groups, small images
    const ConvolutionForm& g = kConvolutionForms[i];
    for (double size : {1e-3, 1e4, 1e35}) {
      SCOPED_TRACE(cat("form ", i, " pixels of size ", size));
      const Value x = parameter(f32, g.x), w = parameter(f32, g.w);
      std::vector<double> pixels = random_literal(x.type(), random).to_doubles();
      for (double& v : pixels) v *= size;
      std::vector<double> weights = random_literal(w.type(), random).to_doubles();
      const size_t inner = weights.size() / static_cast<size_t>(g.w[0]);
      for (size_t k = 0; k < weights.size(); ++k) weights[k] *= k / inner % 3 == 1 ? 1e-39 : k / inner % 3 == 2 ? 0 : 1;
      const Graph graph({x, w}, {g.of(x, w)});
      const Literal image = Literal::from_doubles(f32, g.x, pixels), filters = Literal::from_doubles(f32, g.w, weights);
      check(cpu, graph, {image, filters}, Lie::kDense, Lie::kDense, 16);
      check(cpu, with_known(graph, 1, filters), {image}, Lie::kDense, Lie::kDense, 16);
      if (HasFatalFailure()) return;
    }
  }
}

// ---- pooling and sums of channels -----------------------------------------------------------------------------------

// Ties, padding, windows that overlap and that leave gaps; channel by channel and channels last (two channels and
// many).
TEST(CpuPooling, MaxPoolGradients) {
  const Cpu cpu;
  std::mt19937 random(61);
  struct Form {
    Shape x;
    Ints window, strides, low, high, dilation;
  };
  const Form forms[] = {
      {{2, 3, 8, 6}, {1, 1, 2, 2}, {1, 1, 2, 2}, {0, 0, 0, 0}, {0, 0, 0, 0}, {1, 1, 1, 1}},
      {{1, 21, 9, 7}, {1, 1, 3, 3}, {1, 1, 2, 2}, {0, 0, 1, 1}, {0, 0, 1, 1}, {1, 1, 1, 1}},
      {{2, 70, 7, 8}, {1, 1, 2, 3}, {1, 1, 1, 3}, {0, 0, 1, 0}, {0, 0, 0, 2}, {1, 1, 2, 1}},
      {{2, 5, 11}, {1, 1, 2}, {1, 1, 3}, {0, 0, 0}, {0, 0, 0}, {1, 1, 1}},
      {{1, 4, 5, 4, 6}, {1, 1, 2, 2, 2}, {1, 1, 2, 1, 2}, {0, 0, 1, 0, 0}, {0, 0, 0, 1, 0}, {1, 1, 1, 1, 1}},
  };
  for (const Form& form : forms) {
    for (DType type : {f32, f64}) {
      SCOPED_TRACE(cat("x ", form.x, " window ", form.window, " ", type));
      const Value x = parameter(type, form.x);
      const std::vector<std::pair<std::string_view, Attribute>> windows = {{"window", form.window},
                                                                           {"strides", form.strides},
                                                                           {"low", form.low},
                                                                           {"high", form.high},
                                                                           {"dilation", form.dilation}};
      auto pooling = windows;
      pooling.emplace_back("kind", std::string("max"));
      const Value pooled = op("reduce_window", {x}, pooling);
      const Value y = parameter(type, pooled.shape()), dy = parameter(type, pooled.shape());
      const Graph graph({x, y, dy}, {op("max_pool_gradient", {x, y, dy}, windows)});
      std::vector<double> pixels = random_literal(x.type(), random).to_doubles();
      for (size_t i = 0; i < pixels.size(); ++i) {
        pixels[i] = std::round(pixels[i] * 2) / 2;  // many equal ones
        if (i % 17 == 5) pixels[i] = std::nan("");
        if (i % 5 == 1) pixels[i] = -std::numeric_limits<double>::infinity();
      }
      const Literal image = Literal::from_doubles(type, form.x, pixels);
      const std::vector<Evaluated> given = {reference::to_evaluated(image)};
      const Literal largest = Literal::from_doubles(
          type, pooled.shape(), reference::expect(Graph({x}, {pooled}), given, 1).values.at(0).real);
      const std::vector<Literal> inputs = {image, largest, random_literal(dy.type(), random)};
      for (Lie lie : {Lie::kDense, Lie::kTurned, Lie::kChannelsLast}) {
        check(cpu, graph, inputs, lie, lie == Lie::kTurned ? Lie::kDense : lie);
        if (HasFatalFailure()) return;
      }
    }
  }
}

// Few results side by side in memory, with a number for each in the same pass.
TEST(CpuReduction, OfChannelsSideBySide) {
  const Cpu cpu;
  std::mt19937 random(67);
  for (int64_t channels : {1, 2, 3, 7, 16, 31, 64, 300, 513}) {
    for (const Shape& shape : {Shape{3, channels, 5, 7}, Shape{4, channels, 32, 9}, Shape{1, channels, 1, 2}}) {
      for (DType type : {f32, f64, bf16, i32}) {
        if (type != f32 && (channels % 2 == 0 || shape[2] > 5)) continue;
        const Value x = parameter(type, shape);
        const Value c =
            make_node(get_op("constant"), {},
                      {std::make_shared<const Literal>(random_literal({type, Shape{1, channels, 1, 1}}, random))});
        const Value every = op("broadcast_to", {c}, {{"shape", shape.vector()}});
        const Value centred = op("sub", {x, every});
        const std::vector<Literal> inputs = {random_literal(x.type(), random)};
        for (const char* fold : {"reduce_sum", "reduce_max"}) {
          SCOPED_TRACE(cat(fold, " of ", shape, " ", type));
          const Graph graph({x}, {op(fold, {centred}, {{"axes", Ints{0, 2, 3}}, {"keepdims", false}})});
          check(cpu, graph, inputs, Lie::kChannelsLast, Lie::kDense, 8);
        }
        check(cpu, Graph({x}, {op("mul", {centred, every})}), inputs, Lie::kChannelsLast, Lie::kChannelsLast);
        if (HasFatalFailure()) return;
      }
    }
  }
}

// ---- contractions with elementwise nodes around them ----------------------------------------------------------------

int epilogues_run = 0;

// max(y + bias, 0) * scale + residual, where y is the contraction of the first two inputs; `also_result`: and y itself.
void check_epilogue(const Cpu& cpu, const Value& y, const Value& a, const Value& b, std::mt19937& random, bool known,
                    bool also_result) {
  const TensorType type = y.type();
  const Value bias = parameter(type.dtype, type.shape), residual = parameter(type.dtype, type.shape);
  const Value zero =
      op("broadcast_to",
         {make_node(get_op("constant"), {}, {std::make_shared<const Literal>(Literal::zeros(type.dtype, {}))})},
         {{"shape", type.shape.vector()}});
  const Value sum = op("add", {y, bias});
  const Value out = op("add", {op("mul", {op("max", {sum, zero}), residual}), residual});
  std::vector<Value> parameters = {a, b, bias, residual};
  std::vector<Literal> inputs;
  for (const Value& p : parameters) {  // whole numbers: f32 and f64 have no rounding to hide a mistake
    std::vector<double> values = random_literal(p.type(), random, -3.0, 3.0).to_doubles();
    for (double& v : values) v = std::trunc(v);
    inputs.push_back(Literal::from_doubles(p.dtype(), p.shape(), values));
  }
  Graph graph(parameters, also_result ? std::vector<Value>{y, out} : std::vector<Value>{out});
  if (known) {
    graph = with_known(graph, 1, inputs[1]);
    inputs.erase(inputs.begin() + 1);
  }
  // A form the chip refuses is run node by node; what it takes must be right.
  for (Lie lie : {Lie::kDense, Lie::kTurned, Lie::kRepeated}) {
    SCOPED_TRACE(cat("inputs lie ", static_cast<int>(lie)));
    std::vector<Literal> given = inputs;
    const Ran ran = run_on_chip(cpu, graph, given, lie);
    if (ran.answer.verdict == TRM_NO) continue;
    ++epilogues_run;
    expect_meaning(graph, given, ran.outputs);
  }
}

TEST(CpuEpilogue, OfProducts) {
  const Cpu cpu;
  std::mt19937 random(31);
  epilogues_run = 0;
  const int64_t sizes[][4] = {{1, 5, 17, 33}, {3, 50, 40, 35}, {1, 150, 300, 70}, {2, 49, 257, 70}, {1, 12, 64, 513},
                              {1, 3, 20, 40}, {1, 40, 20, 3},  {1, 16, 4000, 8},  {1, 5, 0, 9}};
  for (const auto& [batch, m, k, n] : sizes) {
    for (DType type : {f32, f64, bf16, f16}) {
      for (int variant = 0; variant < 4; ++variant) {
        SCOPED_TRACE(cat(batch, " x ", m, " x ", k, " x ", n, " ", type, " variant ", variant));
        const Value a = parameter(type, {batch, m, k}), b = parameter(type, {batch, k, n});
        check_epilogue(cpu, op("dot_general", {a, b}), a, b, random, variant % 2 == 1, variant >= 2);
        if (HasFatalFailure()) return;
      }
    }
  }
  EXPECT_GT(epilogues_run, 100) << "most products take an epilogue";
}

TEST(CpuEpilogue, OfConvolutions) {
  const Cpu cpu;
  std::mt19937 random(37);
  epilogues_run = 0;
  for (const ConvolutionForm& form : kConvolutionForms) {
    for (DType type : {f32, bf16}) {
      for (int variant = 0; variant < 4; ++variant) {
        SCOPED_TRACE(cat("x ", form.x, " w ", form.w, " groups ", form.groups, " ", type, " variant ", variant));
        const Value x = parameter(type, form.x), w = parameter(type, form.w);
        check_epilogue(cpu, form.of(x, w), x, w, random, variant % 2 == 1, variant >= 2);
        if (HasFatalFailure()) return;
      }
    }
  }
  EXPECT_GT(epilogues_run, 150) << "most convolutions take an epilogue";
}

// ---- the same bits
// ---------------------------------------------------------------------------------------------------

// Another host: many threads, pieces of the smallest size, the last one first.
void backward_pieces(uint64_t count, uint64_t grain, void (*body)(void*, uint64_t, uint64_t), void* context) {
  const uint64_t pieces = std::max<uint64_t>(1, count / std::max<uint64_t>(1, grain));
  for (uint64_t i = pieces; i-- > 0;) body(context, count * i / pieces, count * (i + 1) / pieces);
}

TEST(CpuDeterminism, BitsDoNotDependOnTheThreads) {
  TrmHost other = runtime::host_services();
  other.parallel_for = backward_pieces;
  other.threads = []() -> uint32_t { return 13; };
  std::mt19937 random(31);
  const Value big = parameter(f32, {300, 900}), a = parameter(f32, {1, 200, 3000}), b = parameter(f32, {1, 3000, 70});
  const Value brain_a = parameter(bf16, {1, 200, 900}), brain_b = parameter(bf16, {1, 900, 170});
  const Value square = parameter(f32, {2, 150, 150}), indices = parameter(i32, {5000}),
              rows = parameter(f32, {5000, 900});
  const Value image = parameter(f32, {24, 6, 13, 14}), gradients = parameter(f32, {40, 6, 13, 14});
  const ConvolutionForm form = {{}, {}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1};
  const Value filters = parameter(f32, {20, 6, 3, 3});
  const Graph graphs[] = {
      Graph({image, filters}, {form.of(image, filters)}),
      Graph({image, gradients}, {form.of(image, gradients)}),
      Graph({big}, {op("reduce_sum", {op("tanh", {big})}, {{"axes", Ints{}}, {"keepdims", false}})}),
      Graph({big}, {op("reduce_sum", {big}, {{"axes", Ints{0}}, {"keepdims", false}})}),
      Graph({a, b}, {op("dot_general", {a, b})}),
      Graph({square}, {op("dot_general", {square, square})}),
      Graph({brain_a, brain_b}, {op("dot_general", {brain_a, brain_b})}),
      Graph({big, indices, rows}, {op("scatter_add", {big, indices, rows}, {{"axis", int64_t{0}}})}),
  };
  for (const Graph& graph : graphs) {
    std::vector<Literal> inputs;
    for (const Value& v : graph.inputs())
      inputs.push_back(random_literal(v.type(), random, -2, is_float(v.dtype()) ? 2 : 350));
    std::vector<Literal> outputs;
    for (const TrmHost* host : {&runtime::host_services(), static_cast<const TrmHost*>(&other)}) {
      const Cpu cpu(*host);
      const bool gradient = graph.inputs().back() == gradients;
      outputs.push_back(run_on_chip(cpu, graph, inputs, gradient ? Lie::kExchanged : Lie::kDense).outputs.at(0));
    }
    EXPECT_TRUE(outputs[0].same_bytes(outputs[1]));
  }
  trm_chip_entry_v1_cpu(&runtime::host_services(), std::make_unique<TrmChip>(chip::sized<TrmChip>()).get());
}

// ---- the device bank
// --------------------------------------------------------------------------------------------------

TEST(CpuDevice, TellsWhatItIs) {
  const Cpu cpu;
  TrmProps props = chip::sized<TrmProps>();
  TrmErr err = no_error();
  ASSERT_EQ(cpu.chip.device->props(0, &props, &err), TRM_OK);
  EXPECT_TRUE(props.flags & TRM_SYNC_ONLY);
  EXPECT_EQ(props.spaces[0].kind, static_cast<uint32_t>(TRM_SPACE_UNIFIED));
  EXPECT_GT(props.flops_f32, 1e9);
  EXPECT_EQ(cpu.chip.device->props(1, &props, &err), TRM_INVALID);
  EXPECT_NE(std::string(err.text), "");
  TrmDev* dev = nullptr;
  const TrmOption option{"persona", "x"};
  EXPECT_EQ(cpu.chip.device->open(0, &option, 1, &dev, &err), TRM_INVALID);
  EXPECT_NE(std::string(err.text).find("persona"), std::string::npos);
}

TEST(CpuDevice, AllocatesCopiesAndFills) {
  const Cpu cpu;
  TrmErr err = no_error();
  TrmMem mem[2];
  for (TrmMem& m : mem) {
    ASSERT_EQ(cpu.chip.device->chunk_alloc(cpu.dev, 1, 1000, 0, &m, &err), TRM_OK) << err.text;
    EXPECT_EQ(m.handle % 64, 0u);
  }
  const uint32_t item = 0x01020304;
  ASSERT_EQ(cpu.chip.device->fill(cpu.dev, &mem[0], &item, 4, nullptr, 1, &err), TRM_OK);
  TrmCopy copy = chip::sized<TrmCopy>();
  copy.dst = mem[1], copy.src = mem[0], copy.bytes = 1000;
  ASSERT_EQ(cpu.chip.device->copy(cpu.dev, &copy, nullptr, 2, &err), TRM_OK);
  for (int i = 0; i < 250; ++i) ASSERT_EQ(reinterpret_cast<const uint32_t*>(mem[1].handle)[i], item);
  copy.bytes = 1001;
  EXPECT_EQ(cpu.chip.device->copy(cpu.dev, &copy, nullptr, 3, &err), TRM_INVALID);
  EXPECT_EQ(err.tag, 3u);
  TrmMem none{};
  uint64_t free_bytes = 0, total = 0;
  ASSERT_EQ(cpu.chip.device->mem_info(cpu.dev, 1, &free_bytes, &total, &err), TRM_OK);
  EXPECT_LE(free_bytes, total);
  EXPECT_EQ(cpu.chip.device->chunk_alloc(cpu.dev, 1, uint64_t{1} << 62, 0, &none, &err), TRM_OUT_OF_MEMORY);
  for (const TrmMem& m : mem) EXPECT_EQ(cpu.chip.device->chunk_free(cpu.dev, &m), TRM_OK);
}

TEST(CpuDevice, CopiesAnyStrides) {
  const Cpu cpu;
  std::mt19937 random(41);
  for (DType type : {u8, f16, f32, f64}) {
    for (const Shape& shape : {Shape{5, 7, 3}, Shape{70, 90}, Shape{}, Shape{0, 2}, Shape{2, 1, 65, 33}}) {
      for (Lie from : kLies) {
        for (Lie to : {Lie::kDense, Lie::kTurned, Lie::kGaps, Lie::kMirrored}) {
          Tensor source({type, shape}, from), target({type, shape}, to);
          source.write(random_literal({type, shape}, random));
          TrmCopyStrided copy = chip::sized<TrmCopyStrided>();
          copy.rank = static_cast<uint32_t>(shape.rank());
          copy.item_bytes = static_cast<uint32_t>(size_of(type));
          copy.dst = target.mem(), copy.src = source.mem();
          for (int a = 0; a < shape.rank(); ++a) {
            copy.dims[a] = shape[a];
            copy.dst_strides[a] = target.strides()[static_cast<size_t>(a)];
            copy.src_strides[a] = source.strides()[static_cast<size_t>(a)];
          }
          TrmErr err = no_error();
          ASSERT_EQ(cpu.chip.device->copy_strided(cpu.dev, &copy, nullptr, 1, &err), TRM_OK) << err.text;
          EXPECT_TRUE(target.read().same_bytes(source.read())) << cat(type, shape);
          EXPECT_TRUE(target.guards_hold());
        }
      }
    }
  }
}

// ---- what it does not know
// --------------------------------------------------------------------------------------------

TEST(CpuQuery, AnswersHonestly) {
  const Cpu cpu;
  const Value x = parameter(f32, {4, 4}), w = parameter(f32, {4, 4, 4});
  // A composite without a kernel of its own runs on the host's evaluator, and says so.
  std::vector<Literal> inputs = {Literal::filled(f32, {4, 4}, 0.5)};
  const Graph composite({x}, {op("sum", {x})});
  const Ran ran = run_on_chip(cpu, composite, inputs);
  EXPECT_EQ(ran.answer.verdict, static_cast<uint32_t>(TRM_NATIVE));
  EXPECT_EQ(ran.answer.runs_on_host, 1u);
  EXPECT_EQ(ran.outputs.at(0).at(0), 8.0);
  // A region of unlike nodes is refused with the reason.
  TrmAnswer answer = chip::sized<TrmAnswer>();
  TrmErr err = no_error();
  const auto program = runtime::make_program(Graph({w}, {op("tanh", {op("cumsum", {op("dot_general", {w, w})})})}));
  ASSERT_EQ(cpu.compute().query(cpu.dev, program.get(), &answer, &err), TRM_OK);
  EXPECT_EQ(answer.verdict, static_cast<uint32_t>(TRM_NO));
  EXPECT_EQ(answer.reason, static_cast<uint32_t>(TRM_REASON_REGION));
  TrmKernel* kernel = nullptr;
  EXPECT_EQ(cpu.compute().prepare(cpu.dev, program.get(), &kernel, &err), TRM_UNSUPPORTED);
  EXPECT_NE(std::string(err.text), "");
}

}  // namespace
}  // namespace trireme::testing
