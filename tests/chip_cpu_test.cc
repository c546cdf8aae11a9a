// The cpu chip against the meaning of every primitive: all types, strides, fused regions, shapes at the edges, accuracy
// of its functions, bits that do not depend on the threads.
//
// ctest: each-isa timeout=600
#include <memory>

#include "cpu_chip.h"
#include "op_case.h"

namespace trireme::testing {
namespace {

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

TEST(CpuFunctions, WithinTheirUnitsAndRightAtTheEdges) {
  const std::pair<const char*, double (*)(double)> functions[] = {
      {"exp", [](double x) { return std::exp(x); }},
      {"log", [](double x) { return std::log(x); }},
      {"expm1", [](double x) { return std::expm1(x); }},
      {"log1p", [](double x) { return std::log1p(x); }},
      {"tanh", [](double x) { return std::tanh(x); }},
      {"erf", [](double x) { return std::erf(x); }},
      {"erfc", [](double x) { return std::erfc(x); }},
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
    points.push_back(near(random) * 0.35f);
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
    const bool quotient = std::string_view(name).starts_with("erf") || std::string_view(name) == "tanh";
    EXPECT_LE(worst, quotient ? 7 : 4) << name << "(" << points[where]
                                       << ") = " << ran.outputs[0].values<float>()[where] << ", expected "
                                       << truth(points[where]);
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

TEST(CpuComposites, NormalisationsTakeElementwiseNodesBeforeThem) {
  const Cpu cpu;
  std::mt19937 random(47);
  for (const Shape& shape : {Shape{3, 4, 7}, Shape{2, 5, 128}, Shape{3, 1500}, Shape{4, 1}, Shape{0, 6}}) {
    SCOPED_TRACE(shape.text());
    for (DType type : {f32, bf16, f64}) {
      const int64_t length = shape[shape.rank() - 1];
      const Value x = parameter(type, shape), y = parameter(type, shape), row = parameter(type, {length});
      const Value scale = op("fill", {}, {{"shape", shape.vector()}, {"dtype", type}, {"value", 0.125}});
      const Value sum = op("add", {x, y}), scaled = op("mul", {sum, scale});
      const Graph graphs[] = {
          Graph({x, y}, {op("softmax", {scaled}, {{"axis", int64_t{-1}}})}),
          Graph({x, y}, {op("log_softmax", {scaled}, {{"axis", int64_t{-1}}}), sum}),
          Graph({x, y, row}, {op("layer_norm", {sum, row, row}), sum}),
          Graph({x, y, row}, {op("rms_norm", {scaled, row})}),
      };
      for (const Graph& graph : graphs) {
        std::vector<Literal> inputs;
        for (const Value& each : graph.inputs()) inputs.push_back(random_literal(each.type(), random, -4, 4));
        for (Lie lie : {Lie::kDense, Lie::kTurned}) check(cpu, graph, inputs, lie, Lie::kDense, 16);
      }
    }
  }
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

// Every pairing of outputs with inputs whose memory they take.
TEST(CpuRegion, ResultsMayOverwriteInputs) {
  const Cpu cpu;
  std::mt19937 random(5);
  const TensorType type{f32, {1000}};
  const Value x = parameter(f32, type.shape), y = parameter(f32, type.shape);
  const Value sum = op("add", {x, y}), difference = op("sub", {x, y}), product = op("mul", {sum, difference});
  for (const std::vector<Value>& outputs : {std::vector{product}, {sum, product}, {product, difference}}) {
    const Graph graph({x, y}, outputs);
    const auto program = runtime::make_program(graph);
    TrmAnswer answer = chip::sized<TrmAnswer>();
    TrmErr err = no_error();
    ASSERT_EQ(cpu.compute().query(cpu.dev, program.get(), &answer, &err), TRM_OK);
    for (size_t k = 0; k < outputs.size(); ++k) ASSERT_EQ(answer.in_place[k], TRM_ANY_INPUT);
    TrmKernel* kernel = nullptr;
    ASSERT_EQ(cpu.compute().prepare(cpu.dev, program.get(), &kernel, &err), TRM_OK) << err.text;
    for (const size_t first : {0, 1}) {
      const Literal values[2] = {random_literal(type, random), random_literal(type, random)};
      Tensor memory[2] = {Tensor(type, Lie::kDense), Tensor(type, Lie::kDense)};
      std::vector<TrmMem> mems;
      for (size_t i = 0; i < 2; ++i) {
        memory[i].write(values[i]);
        mems.push_back(memory[i].mem());
      }
      for (size_t k = 0; k < outputs.size(); ++k) mems.push_back(memory[(first + k) % 2].mem());
      EXPECT_EQ(cpu.compute().enqueue(cpu.dev, kernel, mems.data(), static_cast<uint32_t>(mems.size()), nullptr,
                                      nullptr, 1, &err),
                TRM_OK)
          << err.text;
      std::vector<Literal> results;
      for (size_t k = 0; k < outputs.size(); ++k) results.push_back(memory[(first + k) % 2].read());
      expect_meaning(graph, {values[0], values[1]}, results);
    }
    cpu.compute().release(cpu.dev, kernel);
  }
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

// ---- the same bits

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
