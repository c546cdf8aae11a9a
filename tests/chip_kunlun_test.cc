// The Kunlun chip where it differs from others: products in fixed point, what follows them in the same launch, regions
// as one kernel, and a clock that can be asked. (Every op of it is in op_chip_test and op_runtime_test.)
//
// ctest: links=trireme_kunlun_virtual
#include <gtest/gtest.h>

#include <cstdio>
#include <random>

#include "chip_kunlun.h"
#include "trireme/base/strings.h"
#include "trireme/runtime/offer.h"
#include "xpu/runtime.h"
#include "xpu/simulator.h"

namespace trireme::testing {
namespace {

// ---- products of integers

Literal random_bytes(DType dtype, const Shape& shape, uint32_t seed, int low, int high) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> uniform(low, high);
  std::vector<double> values(static_cast<size_t>(shape.elements()));
  for (double& value : values) value = uniform(random);
  return Literal::from_doubles(dtype, shape, values);
}
Value known_bytes(const Shape& shape, uint32_t seed, int low, int high) {
  return op("constant", {}, {{"value", std::make_shared<const Literal>(random_bytes(i8, shape, seed, low, high))}});
}
// The same numbers as the reference, on the xpu alone; the number of launches.
int check_bytes(const Graph& graph) {
  std::vector<Literal> inputs;
  for (const Value& v : graph.inputs()) {
    inputs.push_back(v.dtype() == u8 ? random_bytes(u8, v.shape(), 5, 0, 255)
                                     : random_bytes(i8, v.shape(), 6, -128, 127));
  }
  EXPECT_NO_THROW(certify::verify_through_runtime(xpu(), graph, inputs, "", /*alone=*/true));
  return plan_of(graph)->ledger().launches;
}

// Sums of 2000 products of the largest bytes are beyond what a float holds: they are cut into pieces. (Launches of a
// ledger are kernels; a kernel is several calls.)
TEST(ChipKunlun, ProductsOfBytesAreExact) {
  for (const DType type : {u8, i8}) {
    for (const int64_t zero : {0, 100}) {
      for (const int64_t terms : {1, 300, 2000}) {
        SCOPED_TRACE(cat(type, ", zero point ", zero, ", ", terms, " terms"));
        const Value x = parameter(type, {1, 3, terms}), w = parameter(i8, {1, terms, 5});
        const auto product = [&](const Value& a, const Value& b) {
          return op("integer_dot_general", {a, b}, {{"x_zero_point", zero}});
        };
        check_bytes(Graph({x}, {product(x, known_bytes({1, terms, 5}, 1, -128, 127))}));
        check_bytes(Graph({x}, {product(x, known_bytes({1, terms, 5}, 1, 126, 127))}));  // they do not cancel
        check_bytes(Graph({x, w}, {product(x, w)}));
        const Value many = parameter(type, {2, 3, terms});
        check_bytes(Graph({many}, {product(many, known_bytes({2, terms, 5}, 2, -128, -120))}));
      }
    }
  }
}

TEST(ChipKunlun, ConvolutionsOfBytesAreExact) {
  const auto convolution = [](const Value& x, const Value& w, int64_t groups, int64_t zero, Ints dilation) {
    return op("integer_convolution", {x, w},
              {{"strides", Ints{2, 1}},
               {"low", Ints{1, 1}},
               {"high", Ints{1, 0}},
               {"dilation", Ints{1, 1}},
               {"input_dilation", std::move(dilation)},
               {"groups", groups},
               {"x_zero_point", zero}});
  };
  for (const DType type : {u8, i8}) {
    for (const int64_t zero : {0, 77}) {
      SCOPED_TRACE(cat(type, ", zero point ", zero));
      const Value x = parameter(type, {2, 160, 5, 4});
      check_bytes(Graph({x}, {convolution(x, known_bytes({3, 160, 3, 3}, 3, 120, 127), 1, zero, {1, 1})}));  // pieces
      check_bytes(Graph({x}, {convolution(x, known_bytes({4, 80, 3, 3}, 4, -128, -120), 2, zero, {1, 1})}));
      check_bytes(Graph({x}, {convolution(x, known_bytes({160, 1, 3, 3}, 5, -128, 127), 160, zero, {1, 2})}));
      const Value w = parameter(i8, {3, 160, 2, 3});
      check_bytes(Graph({x, w}, {convolution(x, w, 1, zero, {2, 1})}));
    }
  }
}

// What `trireme quantize` puts around a product: its sums become floats in the call, the rest is one kernel.
TEST(ChipKunlun, AQuantisedLayerIsTwoKernels) {
  const Value x = parameter(u8, {1, 7, 40});
  const Value sums =
      op("integer_dot_general", {x, known_bytes({1, 40, 9}, 7, -127, 127)}, {{"x_zero_point", int64_t{3}}});
  const auto number = [](double value) {
    const Value one = op("constant", {}, {{"value", std::make_shared<const Literal>(Literal::filled(f32, {}, value))}});
    return op("broadcast_to", {one}, {{"shape", Ints{1, 7, 9}}});
  };
  const Value scaled = op("add", {op("mul", {op("convert", {sums}, {{"dtype", f32}}), number(2e-3)}), number(20.25)});
  const Value y = op("convert", {op("round_even", {op("max", {scaled, number(4)})})}, {{"dtype", u8}});
  EXPECT_EQ(check_bytes(Graph({x}, {y})), 2);
  EXPECT_EQ(check_bytes(Graph({x}, {op("convert", {sums}, {{"dtype", f32}})})), 1);
}

// Out to narrow integers, which saturate, and back, in one kernel; the bytes are stored too.
TEST(ChipKunlun, BytesArePartsOfRegions) {
  const Value x = parameter(f32, {5, 37});
  const auto spread = [](DType type, double value) {
    const Value one =
        op("constant", {}, {{"value", std::make_shared<const Literal>(Literal::filled(type, {}, value))}});
    return op("broadcast_to", {one}, {{"shape", Ints{5, 37}}});
  };
  for (const DType type : {i8, u8, i32}) {
    SCOPED_TRACE(cat(type));
    const Value whole = op("convert", {op("mul", {x, spread(f32, 190)})}, {{"dtype", type}});
    const Value raised = op("max", {whole, spread(type, type == u8 ? 40 : -40)});
    const Value back = op("add", {op("convert", {raised}, {{"dtype", f32}}), x});
    EXPECT_EQ(check(Graph({x}, {back})), 1);
    EXPECT_EQ(check(Graph({x}, {back, raised})), 1);
    const Value less = op("compare", {raised, spread(type, 60)}, {{"kind", std::string("lt")}});
    EXPECT_EQ(check(Graph({x}, {op("select", {less, back, x})})), 1);
  }
}

// ---- what crosses to the CPU

TEST(ChipKunlun, ViewsOfOneValueCrossTogether) {
  const Value x = parameter(f32, {4, 6});
  const auto sorted = [&](Ints shape) {  // for which the chip has no kernel
    return op("sort", {op("reshape", {x}, {{"shape", std::move(shape)}})});
  };
  const auto plan =
      runtime::Plan::make(Graph({x}, {sorted({24}), sorted({3, 8}), sorted({4, 6})}),
                          {.target = &runtime::Device::get("xpu:0"), .fallback = runtime::Fallback::kAllow});
  EXPECT_EQ(plan->ledger().copies, 1) << "x; the results stay where they are made";
}

// ---- what follows a product

TEST(ChipKunlun, SumsAndActivationsFollowAConvolutionInOneLaunch) {
  const Value x = parameter(f32, {2, 6, 9, 8}), branch = parameter(f32, {2, 4, 9, 8}),
              addend = parameter(f32, {2, 4, 9, 8});
  const Value conv = op("conv2d", {x, known({4, 6, 3, 3}, 1), known({4}, 2)}, {{"padding", Ints{1, 1}}});
  for (const char* act : {"relu", "relu6", "sigmoid", "tanh", "silu", "gelu", "hard_swish", "leaky_relu"}) {
    SCOPED_TRACE(act);
    const Value whole = op("add", {op(act, {op("add", {conv, branch})}), addend});
    EXPECT_EQ(check(Graph({x, branch, addend}, {whole})), 1);
    EXPECT_EQ(check(Graph({x}, {op(act, {op("linear", {x, known({5, 8}, 3), known({5}, 4)})})})), 1);
  }
}

TEST(ChipKunlun, WhatCannotFollowIsALaunchOfItsOwn) {
  const Value x = parameter(f32, {1, 3, 5, 5});
  const Value conv = op("conv2d", {x, known({4, 3, 3, 3}, 1)}, {{"padding", Ints{1, 1}}});
  EXPECT_EQ(check(Graph({x}, {op("exp", {op("relu", {conv})})})), 2);  // no second activation
  EXPECT_EQ(check(Graph({x}, {conv, op("relu", {conv})})), 2);         // the sum itself is wanted too
  const Value pixels = parameter(f32, {1, 4, 5, 5});
  EXPECT_EQ(check(Graph({x, pixels}, {op("mul", {conv, pixels})})), 2);  // no product with a tensor
}

// A known weight is made fixed-point ahead; the library does the same to others when it runs. The bits are the same.
TEST(ChipKunlun, KnownWeightsChangeNoBit) {
  const Value x = parameter(f32, {2, 6, 9, 8}), w = parameter(f32, {4, 6, 3, 3});
  const std::vector<std::pair<std::string_view, Attribute>> padded = {{"padding", Ints{1, 1}}};
  const Literal picture = random_literal(x.shape(), 5), weight = random_literal(w.shape(), 6);
  const Graph given({x, w}, {op("conv2d", {x, w}, padded)}),
      ahead({x}, {op("conv2d", {x, known(w.shape(), 6)}, padded)});
  runtime::Device& device = runtime::Device::get("xpu:0");
  const std::vector both = {runtime::Buffer::from(device, picture), runtime::Buffer::from(device, weight)};
  const Literal first = plan_of(given)->run(both)[0]->read();
  const Literal second = plan_of(ahead)->run(std::span(both).first(1))[0]->read();
  EXPECT_TRUE(first.same_bytes(second));
}

// ---- regions

TEST(ChipKunlun, ElementwiseNodesAreOneLaunch) {
  const Value x = parameter(f32, {7, 300}), y = parameter(f32, {7, 300});
  Value z = x;
  for (int k = 0; k < 6; ++k) z = op("add", {op("mul", {op("tanh", {z}), y}), x});
  EXPECT_EQ(check(Graph({x, y}, {z})), 1);
  // With a reduction behind: of rows, of all (small and large).
  EXPECT_EQ(check(Graph({x, y}, {op("reduce_sum", {z}, {{"axes", Ints{1}}})})), 1);
  EXPECT_EQ(check(Graph({x, y}, {op("reduce_max", {z}, {{"axes", Ints{}}})})), 1);
  const Value large = parameter(f32, {600, 700});
  EXPECT_EQ(check(Graph({large}, {op("reduce_sum", {op("mul", {large, large})}, {{"axes", Ints{}}})})), 1);
}

// More operands than a launch takes: the region falls into parts.
TEST(ChipKunlun, ARegionThatIsTooLargeFallsApart) {
  std::vector<Value> inputs = {parameter(f32, {5, 70})};
  Value z = inputs[0];
  for (int k = 0; k < 24; ++k) {
    inputs.push_back(parameter(f32, {5, 70}));
    z = op("tanh", {op("mul", {z, inputs.back()})});
  }
  const int launches = check(Graph(inputs, {z}));
  EXPECT_GT(launches, 1);
  EXPECT_LE(launches, 4);
}

// ---- a Transformer layer

// One encoder layer of BERT's form on [1, T, C], with known weights.
Value encoder_layer(const Value& x, int64_t heads, uint32_t seed) {
  const int64_t time = x.shape()[1], width = x.shape()[2], inner = 4 * width;
  const auto linear = [&](const Value& from, int64_t out) {
    const int64_t in = from.shape()[2];
    return op("linear", {from, known({out, in}, ++seed, 0.1), known({out}, ++seed)});
  };
  const auto heads_of = [&](const Value& from) {
    const Value split = op("reshape", {from}, {{"shape", Ints{1, time, heads, width / heads}}});
    return op("transpose", {split}, {{"order", Ints{0, 2, 1, 3}}});
  };
  const auto norm = [&](const Value& from) {
    return op("layer_norm", {from, known({width}, ++seed), known({width}, ++seed)});
  };
  const Value attended =
      op("attention", {heads_of(linear(x, width)), heads_of(linear(x, width)), heads_of(linear(x, width))});
  const Value joined =
      op("reshape", {op("transpose", {attended}, {{"order", Ints{0, 2, 1, 3}}})}, {{"shape", Ints{1, time, width}}});
  const Value y = norm(op("add", {x, linear(joined, width)}));
  return norm(op("add", {y, linear(op("gelu", {linear(y, inner)}), width)}));
}

TEST(ChipKunlun, ATransformerLayerFusedAndInParts) {
  const Value x = parameter(f32, {1, 96, 64});
  const Graph whole({x}, {encoder_layer(x, 4, 10)});
  runtime::Expansion apart(runtime::Device::host());  // which has hardly a composite
  const Graph parts = apart(whole);
  check(whole);
  check(parts);
  const runtime::Ledger fused = plan_of(whole)->ledger(), unfused = plan_of(parts)->ledger();
  std::printf("fused:    %d launches, %.1f us, %.2f MB between kernels\nin parts: %d launches, %.1f us, %.2f MB\n",
              fused.launches, fused.total_ns() * 1e-3, static_cast<double>(fused.arena_bytes) * 1e-6, unfused.launches,
              unfused.total_ns() * 1e-3, static_cast<double>(unfused.arena_bytes) * 1e-6);
  EXPECT_LE(fused.launches, 11);  // 6 linear layers (one with gelu), attention, 2 sums, 2 norms
  EXPECT_GE(unfused.launches, fused.launches + 4);
  EXPECT_LT(fused.total_ns(), 0.8 * unfused.total_ns());
  EXPECT_LT(fused.arena_bytes, unfused.arena_bytes);
}

// ---- time

// What the planner expects is what the clock of the device says.
TEST(ChipKunlun, TheClockAgreesWithTheLedger) {
  const Value x = parameter(f32, {16, 64, 32, 32}), m = parameter(f32, {1024, 1024}), v = parameter(f32, {3, 50});
  const Value conv = op("conv2d", {x, known({64, 64, 3, 3}, 1)}, {{"padding", Ints{1, 1}}});
  const std::vector<std::pair<const char*, Graph>> graphs = {
      {"convolution", Graph({x}, {op("relu", {conv})})},
      {"product", Graph({m}, {op("linear", {m, known({1024, 1024}, 2)})})},
      {"small", Graph({v}, {op("softmax", {v}, {{"axis", int64_t{-1}}})})},
      {"region", Graph({m}, {op("exp", {op("mul", {op("add", {m, m}), m})})})},
      {"reduction", Graph({m}, {op("reduce_sum", {op("mul", {m, m})}, {{"axes", Ints{1}}})})},
      {"norm", Graph({m}, {op("layer_norm", {m, known({1024}, 3), known({1024}, 4)})})},
  };
  runtime::Device& device = runtime::Device::get("xpu:0");
  for (const auto& [name, graph] : graphs) {
    const auto plan = plan_of(graph);
    const std::vector inputs = {runtime::Buffer::from(device, random_literal(graph.inputs()[0].shape(), 9))};
    uint64_t before = 0, after = 0;
    plan->run(inputs);
    device.synchronize();
    ASSERT_EQ(xpusim_clock(&before), 0);
    constexpr int kRuns = 4;
    for (int k = 0; k < kRuns; ++k) plan->run(inputs);
    device.synchronize();
    ASSERT_EQ(xpusim_clock(&after), 0);
    const double measured = static_cast<double>(after - before) / kRuns, expected = plan->ledger().total_ns();
    EXPECT_NEAR(measured / expected, 1.0, 0.15) << name << ": " << measured << " ns, expected " << expected;
  }
}

}  // namespace
}  // namespace trireme::testing
