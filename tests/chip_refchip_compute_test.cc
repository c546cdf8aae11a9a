// The compute bank of refchip: what each persona takes and refuses and why, results, memory rules, prices, partitions;
// and the chip `reference` beside it.
#include <algorithm>
#include <cmath>
#include <set>

#include "tests/chip_compute.h"
#include "tests/refchip.h"

extern "C" int32_t trm_chip_entry_v1_reference(const TrmHost* host, TrmChip* chip);

namespace trireme::refchip_test {
namespace {

using chip_test::evaluate;
using chip_test::node;
using chip_test::Operand;
using chip_test::operands_of;
using runtime::make_program;
using runtime::ProgramRef;

TrmAnswer ask(const Refchip& c, const ProgramRef& program) {
  TrmAnswer answer = chip::sized<TrmAnswer>();
  EXPECT_EQ(c.chip.compute->query(c.dev, program.get(), &answer, nullptr), TRM_OK);
  return answer;
}
TrmAnswer ask(const std::string& persona, const Graph& graph, std::vector<Strides> strides = {}) {
  const Refchip c(persona);
  return ask(c, make_program(graph, strides));
}

#define EXPECT_NO_BECAUSE(answer, why)                                 \
  do {                                                                 \
    const TrmAnswer given = answer;                                    \
    EXPECT_EQ(given.verdict, static_cast<uint32_t>(TRM_NO));           \
    EXPECT_EQ(given.reason, static_cast<uint32_t>(why)) << given.text; \
    EXPECT_NE(given.text[0], '\0');                                    \
  } while (false)
#define EXPECT_NATIVE(answer)                                                  \
  do {                                                                         \
    const TrmAnswer given = answer;                                            \
    EXPECT_EQ(given.verdict, static_cast<uint32_t>(TRM_NATIVE)) << given.text; \
  } while (false)

Graph unary(const char* op, DType type = f32, const Shape& shape = {4}) {
  const Value x = parameter(type, shape);
  return Graph({x}, {node(op, {x})});
}
Graph add(DType type) {
  const Value x = parameter(type, {2, 3}), y = parameter(type, {2, 3});
  return Graph({x, y}, {node("add", {x, y})});
}
Graph chain() {
  const Value x = parameter(f32, {8});
  return Graph({x}, {node("exp", {node("neg", {x})})});
}
Graph image_convolution() {
  const Value x = parameter(f32, {2, 3, 5, 5}), w = parameter(f32, {4, 3, 2, 2});
  return Graph({x, w}, {node("convolution", {x, w},
                             {{"strides", Ints{1, 1}},
                              {"low", Ints{0, 0}},
                              {"high", Ints{0, 0}},
                              {"dilation", Ints{1, 1}},
                              {"input_dilation", Ints{1, 1}},
                              {"groups", int64_t{1}}})});
}

TEST(RefchipCompute, EveryComputingPersonaAddsMatrices) {
  for (const std::string& persona : persona_names()) {
    if (persona == "minimal-8" || persona == "engine-only") continue;
    const Refchip c(persona);
    const ProgramRef program = make_program(add(f32));
    std::vector<Operand> mine = operands_of(program.get(), 3), truth = mine;
    chip_test::run_on(c.chip, c.dev, program.get(), mine);
    evaluate(program.get(), truth);
    EXPECT_EQ(mine[2].values(), truth[2].values()) << persona;
    const auto x = mine[0].values(), y = mine[1].values(), sum = mine[2].values();
    for (size_t i = 0; i < sum.size(); ++i) EXPECT_EQ(sum[i], static_cast<float>(x[i] + y[i]));
  }
}

TEST(RefchipCompute, StridedOperandsAndOutputsInsideLargerMemory) {
  const Refchip c("full");
  const Value x = parameter(f32, {2, 3}), w = parameter(f32, {2, 3});
  const Graph graph({x, w}, {node("sub", {x, w})});
  const std::vector<Strides> in = {{1, 2}, {-3, 0}}, out = {{8, 2}};  // transposed; reversed and broadcast; with gaps
  const ProgramRef program = make_program(graph, in, out);
  std::vector<Operand> mine = operands_of(program.get(), 4);
  for (std::byte& b : mine[2].bytes) b = std::byte{0x11};
  std::vector<Operand> truth = mine;
  chip_test::run_on(c.chip, c.dev, program.get(), mine);
  evaluate(program.get(), truth);
  EXPECT_EQ(mine[2].bytes, truth[2].bytes);  // what lies between the elements is untouched
  EXPECT_EQ(mine[0].bytes, truth[0].bytes);
  EXPECT_EQ(std::count(mine[2].bytes.begin(), mine[2].bytes.end(), std::byte{0x11}), 13 * 4 - 6 * 4);
}

TEST(RefchipCompute, WholeRegionsAndComposites) {
  const Refchip c("full");
  const Value x = parameter(f32, {3, 4}), w = parameter(f32, {4, 5});
  const Literal two = Literal::filled(f32, {3, 5}, 2.0);
  const Value k = node("constant", {}, {{"value", std::make_shared<const Literal>(two)}});
  const Graph graph({x, w}, {node("mul", {node("matmul", {x, w}), k})});
  const ProgramRef program = make_program(graph);
  std::vector<Operand> mine = operands_of(program.get(), 5);
  ASSERT_EQ(mine.size(), 3u);  // the constant is no operand
  chip_test::run_on(c.chip, c.dev, program.get(), mine);
  const auto a = mine[0].values(), b = mine[1].values(), y = mine[2].values();
  for (size_t i = 0; i < 3; ++i) {
    for (size_t j = 0; j < 5; ++j) {
      double sum = 0;
      for (size_t l = 0; l < 4; ++l) sum += a[i * 4 + l] * b[l * 5 + j];
      EXPECT_NEAR(y[i * 5 + j], 2 * sum, 1e-5);
    }
  }
}

TEST(RefchipCompute, AnswersByPersona) {
  EXPECT_NO_BECAUSE(ask("minimal-13", unary("tan")), TRM_REASON_OP);
  EXPECT_NO_BECAUSE(ask("minimal-13", unary("neg")), TRM_REASON_OP);
  EXPECT_NO_BECAUSE(ask("minimal-13", add(f64)), TRM_REASON_DTYPE);
  EXPECT_NO_BECAUSE(ask("minimal-13", add(i64)), TRM_REASON_DTYPE);
  const Value x = parameter(f32, {8});
  EXPECT_NO_BECAUSE(ask("minimal-13", Graph({x}, {node("exp", {node("exp", {x})})})), TRM_REASON_REGION);
  for (const DType type : {f32, bf16, i32}) EXPECT_NATIVE(ask("minimal-13", add(type)));
  EXPECT_NATIVE(ask("mandatory", unary("neg")));
  EXPECT_NO_BECAUSE(ask("mandatory", unary("tan")), TRM_REASON_OP);
  EXPECT_NO_BECAUSE(ask("no-i64", add(i64)), TRM_REASON_DTYPE);
  EXPECT_NATIVE(ask("no-i64", add(i32)));
  EXPECT_NO_BECAUSE(ask("no-strided-copy", unary("strided_copy")), TRM_REASON_OP);
  EXPECT_NO_BECAUSE(ask("engine-only", unary("exp")), TRM_REASON_REGION);
  EXPECT_NATIVE(ask("engine-only", chain()));
  EXPECT_NO_BECAUSE(ask("missing-top20", image_convolution()), TRM_REASON_OP);
  const Value a = parameter(f32, {3, 4}), b = parameter(f32, {4, 5});
  EXPECT_NO_BECAUSE(ask("missing-top20", Graph({a, b}, {node("matmul", {a, b})})), TRM_REASON_OP);
  EXPECT_NATIVE(ask("full", Graph({a, b}, {node("matmul", {a, b})})));
  EXPECT_NATIVE(ask("missing-top20", unary("exp")));
}

TEST(RefchipCompute, MissingTop20NamesOpsThatExist) {
  // The ops the persona lacks are ops of this house, or it would lack nothing. Absent files: a build of fewer ops.
  if (!find_op("softmax") || !find_op("attention")) GTEST_SKIP() << "this build has not all ops";
  for (const char* op : {"matmul",     "linear",     "convolution", "conv2d", "softmax", "log_softmax", "cross_entropy",
                         "layer_norm", "rms_norm",   "batch_norm",  "relu",   "gelu",    "silu",        "attention",
                         "embedding",  "max_pool2d", "avg_pool2d",  "sum",    "mean",    "dropout"}) {
    EXPECT_NE(find_op(op), nullptr) << op;
  }
}

TEST(RefchipCompute, Bfloat16ComesConverted) {
  const TrmAnswer answer = ask("no-bf16", add(bf16));
  EXPECT_EQ(answer.verdict, static_cast<uint32_t>(TRM_NATIVE_AFTER_CONVERSION));
  ASSERT_EQ(answer.conversion_count, 3u);
  for (uint32_t k = 0; k < 3; ++k) {
    EXPECT_EQ(answer.conversions[k].operand, k);
    EXPECT_EQ(answer.conversions[k].dtype, static_cast<uint32_t>(TRM_F32));
    EXPECT_EQ(answer.conversions[k].order[0], 0);
    EXPECT_EQ(answer.conversions[k].order[1], 1);
  }
  EXPECT_NATIVE(ask("no-bf16", add(f16)));
  // An op that says bf16 itself cannot be asked for in another type; nor can a value between two ops.
  const Value x = parameter(f32, {4});
  EXPECT_NO_BECAUSE(ask("no-bf16", Graph({x}, {node("convert", {x}, {{"dtype", bf16}})})), TRM_REASON_DTYPE);
  const Value y = parameter(bf16, {4});
  EXPECT_NO_BECAUSE(ask("no-bf16", Graph({y}, {node("exp", {node("exp", {y})})})), TRM_REASON_DTYPE);
  const Refchip c("no-bf16");
  TrmKernel* kernel = nullptr;
  TrmErr err = no_error();
  EXPECT_EQ(c.chip.compute->prepare(c.dev, make_program(add(bf16)).get(), &kernel, &err), TRM_UNSUPPORTED);
}

TEST(RefchipCompute, DenseOperandsAreWanted) {
  const std::vector<Strides> strides = {{1, 2}, {3, 1}};  // the first transposed
  const TrmAnswer answer = ask("minimal-13", add(f32), strides);
  EXPECT_EQ(answer.verdict, static_cast<uint32_t>(TRM_NATIVE_AFTER_CONVERSION));
  ASSERT_EQ(answer.conversion_count, 1u);
  EXPECT_EQ(answer.conversions[0].operand, 0u);
  EXPECT_EQ(answer.conversions[0].dtype, static_cast<uint32_t>(TRM_F32));
  EXPECT_EQ(answer.conversions[0].order[0], 0);
  EXPECT_EQ(answer.conversions[0].order[1], 1);
  EXPECT_NATIVE(ask("full", add(f32), strides));
  EXPECT_NATIVE(ask("minimal-13", unary("strided_copy", f32, {2, 3}), {{1, 2}}));  // that is what it is for
}

TEST(RefchipCompute, ConvolutionWantsImagesChannelsLast) {
  const Graph graph = image_convolution();
  const TrmAnswer answer = ask("nhwc-only", graph);
  EXPECT_EQ(answer.verdict, static_cast<uint32_t>(TRM_NATIVE_AFTER_CONVERSION));
  ASSERT_EQ(answer.conversion_count, 2u);
  EXPECT_EQ(answer.conversions[0].operand, 0u);
  EXPECT_EQ(answer.conversions[1].operand, 2u);
  for (int c = 0; c < 2; ++c) {
    EXPECT_EQ(std::vector<int>(answer.conversions[c].order, answer.conversions[c].order + 4),
              (std::vector<int>{0, 2, 3, 1}));
  }
  // Asked again with what it wants, it takes the program and computes the same.
  const std::vector<Strides> in = {{75, 1, 15, 3}, dense_strides({4, 3, 2, 2})}, out = {{64, 1, 16, 4}};
  const ProgramRef program = make_program(graph, in, out);
  const Refchip c("nhwc-only");
  std::vector<Operand> mine = operands_of(program.get(), 6), truth = mine;
  chip_test::run_on(c.chip, c.dev, program.get(), mine);
  evaluate(program.get(), truth);
  EXPECT_EQ(mine[2].values(), truth[2].values());
  EXPECT_NATIVE(ask("nhwc-only", add(f32)));
}

TEST(RefchipCompute, PricesAreTheVirtualClocks) {
  Refchip c("full");
  const Value x = parameter(f32, {64, 64}), w = parameter(f32, {64, 64});
  const ProgramRef program = make_program(Graph({x, w}, {node("matmul", {x, w})}));
  const TrmAnswer answer = ask(c, program);
  double flops = 0, bytes = 0;
  EXPECT_EQ(runtime::evaluate_service().cost(program.get(), &flops, &bytes), TRM_OK);
  EXPECT_DOUBLE_EQ(flops, 2.0 * 64 * 64 * 64);
  EXPECT_DOUBLE_EQ(answer.estimated_ns, 1000 + 1e9 * std::max(flops / 10e12, bytes / 400e9));
  TrmKernel* kernel = nullptr;
  EXPECT_EQ(c.chip.compute->prepare(c.dev, program.get(), &kernel, nullptr), TRM_OK);
  const TrmMem operands[] = {c.alloc(16384), c.alloc(16384), c.alloc(16384)};
  const TrmMem workspace = c.alloc(answer.workspace_bytes);
  TrmEvent *begin = c.event(), *end = c.event();
  EXPECT_EQ(c->event_record(c.dev, begin, nullptr, nullptr), TRM_OK);
  EXPECT_EQ(c.chip.compute->enqueue(c.dev, kernel, operands, 3, &workspace, nullptr, 1, nullptr), TRM_OK);
  EXPECT_EQ(c->event_record(c.dev, end, nullptr, nullptr), TRM_OK);
  EXPECT_EQ(c.chip.compute->release(c.dev, kernel), TRM_OK);  // while it waits or runs
  EXPECT_EQ(c.sync(), TRM_OK);
  double ns = 0;
  EXPECT_EQ(c->event_elapsed(c.dev, begin, end, &ns, nullptr), TRM_OK);
  EXPECT_DOUBLE_EQ(ns, answer.estimated_ns);
}

TEST(RefchipCompute, MemoryRulesOfKernels) {
  Refchip c("full");
  const ProgramRef program = make_program(add(f32));
  const TrmAnswer answer = ask(c, program);
  EXPECT_EQ(answer.in_place[0], 0);
  EXPECT_EQ(answer.workspace_bytes, 256u);
  TrmKernel* kernel = nullptr;
  EXPECT_EQ(c.chip.compute->prepare(c.dev, program.get(), &kernel, nullptr), TRM_OK);
  const TrmMem x = c.upload(std::vector<float>{1, 2, 3, 4, 5, 6}), w = c.upload(std::vector<float>(6, 10.0f));
  const TrmMem y = c.alloc(24), workspace = c.alloc(256);
  const auto start = [&](const TrmMem& a, const TrmMem& b, const TrmMem& out, const TrmMem* work, uint32_t count = 3) {
    const TrmMem operands[] = {a, b, out};
    c.last = no_error();
    return c.chip.compute->enqueue(c.dev, kernel, operands, count, work, nullptr, 1, &c.last);
  };
  EXPECT_EQ(start(x, w, y, &workspace), TRM_OK);
  EXPECT_EQ(c.download<float>(y), (std::vector<float>{11, 12, 13, 14, 15, 16}));
  EXPECT_NE(c.download<uint8_t>(workspace)[0], 0);  // scribbled over: nobody may keep anything there
  EXPECT_EQ(start(x, w, x, &workspace), TRM_OK);    // in place of input 0, as answered
  EXPECT_EQ(c.download<float>(x), (std::vector<float>{11, 12, 13, 14, 15, 16}));
  EXPECT_EQ(start(x, w, w, &workspace), TRM_INVALID);  // but not of input 1
  EXPECT_NE(std::string(c.last.text).find("overlaps input 1"), std::string::npos) << c.last.text;
  EXPECT_EQ(start(x, w, y, nullptr), TRM_INVALID);
  EXPECT_EQ(start(x, w, y, &y), TRM_INVALID);
  EXPECT_EQ(start(x, w, y, &workspace, 2), TRM_INVALID);
  TrmMem odd = x;
  odd.offset = 2;
  EXPECT_EQ(start(odd, w, y, &workspace), TRM_INVALID);
  std::vector<float> host(6);
  EXPECT_EQ(start(c.host_mem(host), w, y, &workspace), TRM_INVALID);
  const TrmMem small = c.alloc(20);
  EXPECT_EQ(start(small, w, y, &workspace), TRM_INVALID);
  EXPECT_EQ(c.chip.compute->release(c.dev, kernel), TRM_OK);
}

TEST(RefchipCompute, AFailingKernelNamesItsTag) {
  Refchip c("full");
  const ProgramRef program = make_program(unary("exp"));
  TrmKernel* kernel = nullptr;
  EXPECT_EQ(c.chip.compute->prepare(c.dev, program.get(), &kernel, nullptr), TRM_OK);
  EXPECT_EQ(c->fault_inject(c.dev, TRM_FAULT_NEXT_COMMAND, 0x77, nullptr), TRM_OK);
  const TrmMem operands[] = {c.alloc(16), c.alloc(16)}, workspace = c.alloc(256);
  TrmStream* stream = c.stream();
  EXPECT_EQ(c.chip.compute->enqueue(c.dev, kernel, operands, 2, &workspace, stream, 0x77, nullptr), TRM_OK);
  EXPECT_EQ(c.stream_sync(stream), TRM_FAULT);
  EXPECT_EQ(c.last.tag, 0x77u);
  EXPECT_NE(std::string(c.last.text).find("exp with tag 119"), std::string::npos) << c.last.text;
  EXPECT_EQ(c.chip.compute->release(c.dev, kernel), TRM_OK);
}

// ---- partitions --------------------------------------------------------------------------------------------------

std::vector<std::vector<uint32_t>> parts_of(const Refchip& c, const ProgramRef& graph) {
  const TrmPart* parts = nullptr;
  uint32_t count = 0;
  TrmErr err = no_error();
  EXPECT_EQ(c.chip.compute->partition(c.dev, graph.get(), &parts, &count, &err), TRM_OK) << err.text;
  std::vector<std::vector<uint32_t>> out;
  for (uint32_t p = 0; p < count; ++p) out.emplace_back(parts[p].nodes, parts[p].nodes + parts[p].node_count);
  return out;
}

TEST(RefchipPartition, AnEngineTakesTheWholeGraph) {
  const Refchip c("engine-only");
  const Value x = parameter(f32, {4, 4});
  const Value h = node("tanh", {node("matmul", {x, x})});
  const ProgramRef program = make_program(Graph({x}, {node("add", {h, x}), node("exp", {h})}));
  EXPECT_EQ(parts_of(c, program), (std::vector<std::vector<uint32_t>>{{0, 1, 2, 3}}));
  EXPECT_TRUE(parts_of(c, make_program(unary("exp"))).empty());  // one op is no engine's work
}

TEST(RefchipPartition, PartsNeverDependOnEachOtherInACircle) {
  const Refchip c(persona_file("picky", R"({"name": "picky", "compute": {"partition": true,
      "nodes": {"min": 2}, "ops": {"except": ["sin"]}}})"));
  std::mt19937_64 random(11);
  int several = 0;
  for (int round = 0; round < 200; ++round) {
    std::vector<Value> values = {parameter(f32, {2}), parameter(f32, {2})};
    const Graph parameters({values[0], values[1]}, {});
    for (int n = 0; n < 14; ++n) {
      const Value a = values[random() % values.size()], b = values[random() % values.size()];
      values.push_back(random() % 4 == 0 ? node("sin", {a}) : node("add", {a, b}));
    }
    const ProgramRef program = make_program(Graph({values[0], values[1]}, {values[15], values[14], values[13]}));
    const chip::Program view(&runtime::program_reader(), program.get());
    const auto parts = parts_of(c, program);
    several += parts.size() > 1;
    std::vector<uint32_t> part_of(view.node_count(), TRM_ABSENT), producer(view.value_count(), TRM_ABSENT);
    for (uint32_t p = 0; p < parts.size(); ++p) {
      EXPECT_GE(parts[p].size(), 2u);
      for (const uint32_t n : parts[p]) {
        EXPECT_EQ(part_of[n], TRM_ABSENT);  // no node twice
        EXPECT_NE(view.node(n).op(), "sin");
        part_of[n] = p;
      }
    }
    // Contract each part to one vertex: the rest must be orderable. Vertices: parts, then lone nodes.
    const auto vertex = [&](uint32_t n) { return part_of[n] == TRM_ABSENT ? parts.size() + n : part_of[n]; };
    std::vector<std::set<size_t>> before(parts.size() + view.node_count());
    for (uint32_t n = 0; n < view.node_count(); ++n) {
      for (const uint32_t v : view.node(n).outputs()) producer[v] = n;
      for (const uint32_t v : view.node(n).inputs()) {
        if (producer[v] != TRM_ABSENT && vertex(producer[v]) != vertex(n))
          before[vertex(n)].insert(vertex(producer[v]));
      }
    }
    std::set<size_t> left;
    for (uint32_t n = 0; n < view.node_count(); ++n) left.insert(vertex(n));
    for (bool moved = true; moved;) {
      moved = false;
      for (auto v = left.begin(); v != left.end();) {
        const bool ready =
            std::none_of(before[*v].begin(), before[*v].end(), [&](size_t b) { return left.contains(b); });
        v = ready ? left.erase(v) : std::next(v);
        moved = moved || ready;
      }
    }
    EXPECT_TRUE(left.empty()) << "round " << round;
  }
  EXPECT_GT(several, 10);
}

TEST(RefchipPartition, PartsKeepToTheOperandLimit) {
  const Refchip c("engine-only");
  std::vector<Value> inputs = {parameter(f32, {2})};
  Value sum = inputs[0];
  for (int i = 0; i < 150; ++i) {
    inputs.push_back(parameter(f32, {2}));
    sum = node("add", {sum, inputs.back()});
  }
  const ProgramRef program = make_program(Graph(inputs, {sum}));
  const auto parts = parts_of(c, program);
  EXPECT_EQ(parts.size(), 3u);
  size_t nodes = 0;
  for (const auto& part : parts) {
    nodes += part.size();
    EXPECT_LE(part.size() + 2, static_cast<size_t>(TRM_MAX_OPERANDS));  // an addend each, the running sum in and out
  }
  EXPECT_EQ(nodes, 150u);
}

// ---- reference ---------------------------------------------------------------------------------------------------

TEST(ReferenceChip, ComputesWhatTheEvaluatorSays) {
  TrmChip c = chip::sized<TrmChip>();
  ASSERT_EQ(trm_chip_entry_v1_reference(&host(), &c), TRM_OK);
  EXPECT_STREQ(c.name, "reference");
  TrmDev* dev = nullptr;
  ASSERT_EQ(c.device->open(0, nullptr, 0, &dev, nullptr), TRM_OK);
  TrmProps props = chip::sized<TrmProps>();
  EXPECT_EQ(c.device->props(0, &props, nullptr), TRM_OK);
  EXPECT_EQ(props.native_dtypes, any_dtype.bits);
  const Value x = parameter(f32, {3, 4}), w = parameter(f32, {4, 3});
  const Graph graph({x, w}, {node("tan", {node("matmul", {x, w})})});
  const ProgramRef program = make_program(graph, std::vector<Strides>{{1, 3}, {3, 1}});
  std::vector<Operand> mine = operands_of(program.get(), 8), truth = mine;
  chip_test::run_on(c, dev, program.get(), mine);
  evaluate(program.get(), truth);
  EXPECT_EQ(mine[2].bytes, truth[2].bytes);
  TrmErr err = no_error();
  const TrmOption option{"speed", "ludicrous"};
  EXPECT_EQ(c.device->open(0, &option, 1, &dev, &err), TRM_INVALID);
  EXPECT_NE(std::string(err.text).find("speed"), std::string::npos);
}

}  // namespace
}  // namespace trireme::refchip_test
