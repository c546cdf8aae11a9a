// Whole Transformer layers on the Kunlun chip: one launch each, the same numbers as their parts, less time and memory;
// decoding step by step with a cache; what the chip leaves to the decomposition.
//
// ctest: links=trireme_kunlun_virtual
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "chip_kunlun.h"
#include "trireme/base/error.h"
#include "trireme/reference/accuracy.h"
#include "trireme/reference/evaluator.h"
#include "trireme/runtime/offer.h"
#include "xpu/runtime.h"
#include "xpu/simulator.h"

namespace trireme::testing {
namespace {

using Attributes = std::vector<std::pair<std::string_view, Attribute>>;

// The twelve weights of a layer, as constants.
Values weights_of(int64_t width, int64_t inner, uint32_t seed) {
  // As large as the products of a trained layer: results stay near 1.
  const double most = 1.7 / std::sqrt(static_cast<double>(width)),
               inner_most = 1.7 / std::sqrt(static_cast<double>(inner));
  Values weights;
  const auto add = [&](const Shape& shape, double size) { weights.push_back(known(shape, ++seed, size)); };
  add({3 * width, width}, most), add({3 * width}, 0.5), add({width, width}, most), add({width}, 0.5);
  add({width}, 1.5), add({width}, 0.5);
  add({inner, width}, most), add({inner}, 0.5), add({width, inner}, inner_most), add({width}, 0.5);
  add({width}, 1.5), add({width}, 0.5);
  return weights;
}

Value encoder(const Value& x, const Values& weights, const Attributes& attributes, const Value& mask = {}) {
  Values inputs = {x};
  inputs.insert(inputs.end(), weights.begin(), weights.end());
  inputs.push_back(mask);
  return op("transformer_encoder_layer", inputs, attributes);
}

Values decoder(const Value& x, const Value& keys, const Value& values, const Value& position, const Values& weights,
               const Attributes& attributes) {
  Values inputs = {x, keys, values, position};
  inputs.insert(inputs.end(), weights.begin(), weights.end());
  return all_outputs(op("transformer_decoder_step", inputs, attributes));
}

Graph in_parts(const Graph& graph) { return {graph.inputs(), decomposition_of(graph.outputs()[0].node())}; }

std::vector<Literal> outputs_of(const Graph& graph, const std::vector<Literal>& inputs) {
  std::vector<runtime::BufferRef> buffers;
  for (const Literal& literal : inputs) {
    buffers.push_back(runtime::Buffer::from(runtime::Device::get("xpu:0"), literal));
  }
  std::vector<Literal> out;
  for (const auto& result : plan_of(graph)->run(buffers)) out.push_back(result->read());
  return out;
}

Literal scalar_i32(int64_t value) {
  return Literal::from_doubles(i32, Shape{}, std::vector<double>{static_cast<double>(value)});
}

// ---- the encoder

TEST(ChipKunlunTransformer, EveryFormOfAnEncoderLayerIsOneLaunch) {
  const Value x = parameter(f32, {2, 5, 16}), mask = parameter(f32, {2, 1, 1, 5}), plane = parameter(f32, {5, 5});
  const Values weights = weights_of(16, 24, 10);
  for (const char* activation : {"gelu", "gelu_tanh", "relu"}) {
    for (const bool pre_norm : {true, false}) {
      SCOPED_TRACE(::testing::Message() << activation << ", pre_norm " << pre_norm);
      const Attributes form = {
          {"heads", int64_t{4}}, {"activation", std::string(activation)}, {"pre_norm", pre_norm}, {"epsilon", 1e-3}};
      Attributes causal = form;
      causal.emplace_back("causal", true);
      EXPECT_EQ(check(Graph({x}, {encoder(x, weights, form)})), 1);
      EXPECT_EQ(check(Graph({x}, {encoder(x, weights, causal)})), 1);
      EXPECT_EQ(check(Graph({x, mask}, {encoder(x, weights, form, mask)})), 1);
      EXPECT_EQ(check(Graph({x, plane}, {encoder(x, weights, causal, plane)})), 1);
    }
  }
}

TEST(ChipKunlunTransformer, ALayerHasTheBitsOfItsParts) {
  const Value x = parameter(f32, {2, 7, 16});
  const std::vector<Literal> input = {random_literal(x.shape(), 3)};
  for (const bool pre_norm : {true, false}) {
    const Graph whole(
        {x}, {encoder(x, weights_of(16, 64, 10), {{"heads", int64_t{2}}, {"causal", true}, {"pre_norm", pre_norm}})});
    const Literal fused = outputs_of(whole, input)[0], apart = outputs_of(in_parts(whole), input)[0];
    EXPECT_TRUE(fused.same_bytes(apart)) << "pre_norm " << pre_norm;
  }
}

TEST(ChipKunlunTransformer, LayersStandInLargerGraphs) {
  const Value x = parameter(f32, {1, 5, 16});
  const Attributes form = {{"heads", int64_t{4}}};
  const Value first = encoder(op("tanh", {x}), weights_of(16, 32, 10), form),
              second = encoder(first, weights_of(16, 32, 40), form);
  EXPECT_EQ(check(Graph({x}, {op("add", {op("relu", {second}), x})})), 4);  // tanh, two layers, relu and the sum
}

// A weight that is known when the plan is made is rounded then, one that is not when it runs.
TEST(ChipKunlunTransformer, KnownWeightsChangeNoBit) {
  const Value x = parameter(f32, {1, 4, 8});
  const Values constants = weights_of(8, 32, 10);
  Values given;
  std::vector<Literal> inputs = {random_literal(x.shape(), 3)};
  for (const Value& weight : constants) {
    given.push_back(parameter(f32, weight.shape()));
    inputs.push_back(AttributeReader(weight.node().op(), weight.node().attributes()).literal("value"));
  }
  std::vector<Value> parameters = {x};
  parameters.insert(parameters.end(), given.begin(), given.end());
  const Attributes form = {{"heads", int64_t{2}}};
  const Graph ahead({x}, {encoder(x, constants, form)}), then(parameters, {encoder(x, given, form)});
  EXPECT_EQ(plan_of(then)->ledger().launches, 1);
  EXPECT_TRUE(outputs_of(ahead, {inputs[0]})[0].same_bytes(outputs_of(then, inputs)[0]));
}

TEST(ChipKunlunTransformer, HalvesAreOneLaunchToo) {
  const Value x = parameter(f16, {1, 6, 16});
  Values weights;
  for (const Value& weight : weights_of(16, 32, 10)) {
    const Literal& wide = AttributeReader(weight.node().op(), weight.node().attributes()).literal("value");
    std::vector<double> values;
    for (int64_t i = 0; i < wide.elements(); ++i) values.push_back(wide.at(i));
    weights.push_back(
        op("constant", {},
           {{"value", std::make_shared<const Literal>(Literal::from_doubles(f16, wide.shape(), values))}}));
  }
  const Graph graph({x}, {encoder(x, weights, {{"heads", int64_t{4}}, {"pre_norm", false}})});
  EXPECT_EQ(plan_of(graph)->ledger().launches, 1);
  const Literal wide = random_literal(x.shape(), 3);
  std::vector<double> values;
  for (int64_t i = 0; i < wide.elements(); ++i) values.push_back(wide.at(i));
  EXPECT_NO_THROW(
      certify::verify_through_runtime(xpu(), graph, {Literal::from_doubles(f16, x.shape(), values)}, "", true));
}

// Nanoseconds of a run on the clock of the device.
double clocked(runtime::Plan& plan) {
  runtime::Device& device = runtime::Device::get("xpu:0");
  std::vector<runtime::BufferRef> inputs;
  for (const Value& v : plan.graph().inputs()) {
    inputs.push_back(runtime::Buffer::from(device, v.dtype() == i32 ? scalar_i32(90) : random_literal(v.shape(), 9)));
  }
  device.synchronize();
  uint64_t before = 0, after = 0;
  EXPECT_EQ(xpusim_clock(&before), 0);
  const auto results = plan.run(inputs);
  device.synchronize();
  EXPECT_EQ(xpusim_clock(&after), 0);
  return static_cast<double>(after - before);
}

struct Measured {
  int launches;
  double us, arena_mb;
};
Measured measured(const char* name, const Graph& graph) {
  const auto plan = plan_of(graph);
  const runtime::Ledger& ledger = plan->ledger();
  const Measured m{ledger.launches, ledger.total_ns() * 1e-3, static_cast<double>(ledger.arena_bytes) * 1e-6};
  const double clock_us = clocked(*plan) * 1e-3;
  std::printf("%-13s %3d launches, %7.1f us (on the clock %7.1f), %5.2f MB between kernels\n", name, m.launches, m.us,
              clock_us, m.arena_mb);
  EXPECT_NEAR(clock_us / m.us, 1.0, 0.1) << name;
  return m;
}

TEST(ChipKunlunTransformer, ALayerWholeAndInParts) {
  struct Row {
    const char* name;
    int64_t time, width, heads;
  };
  for (const Row& row : {Row{"small", 96, 64, 4}, Row{"BERT base", 128, 768, 12}}) {
    std::printf("%s: %d positions, %d features, %d heads\n", row.name, static_cast<int>(row.time),
                static_cast<int>(row.width), static_cast<int>(row.heads));
    const Value x = parameter(f32, {1, row.time, row.width});
    const Graph whole(
        {x}, {encoder(x, weights_of(row.width, 4 * row.width, 10), {{"heads", row.heads}, {"pre_norm", false}})});
    runtime::Expansion to_primitives(runtime::Device::host());
    const Measured fused = measured("whole", whole), apart = measured("in parts", in_parts(whole)),
                   primitive = measured("in primitives", to_primitives(whole));
    EXPECT_EQ(fused.launches, 1);
    EXPECT_EQ(apart.launches, 9);  // four linear layers (one with gelu), attention, two sums, two norms
    EXPECT_GT(primitive.launches, apart.launches);
    EXPECT_LT(fused.us, apart.us);
    EXPECT_LT(apart.us, primitive.us);
    EXPECT_EQ(fused.arena_mb, 0);
    EXPECT_GT(apart.arena_mb, 0);
    // On an R200, weights and products are still to be paid: 6 linear layers of D x D, two of them four times as large.
    const double elements = 12.0 * static_cast<double>(row.width * row.width), time = static_cast<double>(row.time);
    const double streamed_us = 1.83 * 2 * elements / 512e9 * 1e6,
                 products_us = 0.39 * 2 * time * elements / 128e12 * 1e6;
    EXPECT_GT(fused.us, 13.3 + streamed_us + products_us);
  }
}

// ---- the decoder

constexpr int64_t kSteps = 12, kWidth = 16, kHeads = 2, kInner = 64, kLength = 16;
const Shape kCache = {1, kHeads, kLength, kWidth / kHeads};
const Attributes kForm = {{"activation", std::string("gelu_tanh")}};

Literal no_cache() { return Literal::zeros(f32, kCache); }

struct Step {
  Value x = parameter(f32, {1, 1, kWidth}), keys = parameter(f32, kCache), values = parameter(f32, kCache),
        position = parameter(i32, {});
  Graph graph(const Values& weights) const {
    return {{x, keys, values, position}, decoder(x, keys, values, position, weights, kForm)};
  }
};

Literal row_of(const Literal& x, int64_t t) {
  std::vector<double> row;
  for (int64_t d = 0; d < kWidth; ++d) row.push_back(x.at(t * kWidth + d));
  return Literal::from_doubles(f32, {1, 1, kWidth}, row);
}

// Every step by one plan, the caches in the memory that they came in.
std::vector<double> decoded(const Graph& graph, const Literal& x, bool donated) {
  runtime::Device& device = runtime::Device::get("xpu:0");
  runtime::PlanOptions options{.target = &device, .fallback = runtime::Fallback::kError};
  if (donated) options.donated = {-1, 1, 2, -1};
  const auto plan = runtime::Plan::make(graph, options);
  runtime::BufferRef keys = runtime::Buffer::from(device, no_cache()),
                     values = runtime::Buffer::from(device, no_cache());
  std::vector<double> all;
  for (int64_t t = 0; t < kSteps; ++t) {
    const std::vector<runtime::BufferRef> results =
        plan->run(std::vector{runtime::Buffer::from(device, row_of(x, t)), std::move(keys), std::move(values),
                              runtime::Buffer::from(device, scalar_i32(t))});
    const Literal y = results[0]->read();
    for (int64_t d = 0; d < kWidth; ++d) all.push_back(y.at(d));
    keys = results[1];
    values = results[2];
  }
  return all;
}

TEST(ChipKunlunTransformer, TwelveStepsWithACacheAreTheCausalLayer) {
  const Values weights = weights_of(kWidth, kInner, 10);
  const Literal x = random_literal({1, kSteps, kWidth}, 3);
  // The truth: the whole sequence at once, in double.
  const Value all = parameter(f32, {1, kSteps, kWidth});
  Attributes causal = kForm;
  causal.emplace_back("causal", true);
  causal.emplace_back("heads", kHeads);
  const Graph whole({all}, {encoder(all, weights, causal)});
  const reference::Expectation truth = certify::expect(whole, {x}, 16);
  // The same step by step, which says how exact the arithmetic of the chip makes that.
  Value keys = op("constant", {}, {{"value", std::make_shared<const Literal>(no_cache())}}), values = keys;
  Values ys;
  for (int64_t t = 0; t < kSteps; ++t) {
    const Value now =
        op("slice", {all}, {{"begin", Ints{0, t, 0}}, {"end", Ints{1, t + 1, kWidth}}, {"step", Ints{1, 1, 1}}});
    const Value position = op("constant", {}, {{"value", std::make_shared<const Literal>(scalar_i32(t))}});
    const Values out = decoder(now, keys, values, position, weights, kForm);
    ys.push_back(out[0]);
    keys = out[1];
    values = out[2];
  }
  const Graph unrolled({all}, {op("concat", ys, {{"axis", int64_t{1}}})});
  const reference::Expectation steps = certify::expect(unrolled, {x}, 16);
  for (size_t i = 0; i < truth.values[0].real.size(); ++i) {
    ASSERT_NEAR(steps.values[0].real[i], truth.values[0].real[i], 1e-12) << "the decomposition is not the layer: " << i;
  }
  const Graph step = Step().graph(weights);
  EXPECT_EQ(plan_of(step)->ledger().launches, 1);
  const Literal got = Literal::from_doubles(f32, {1, kSteps, kWidth}, decoded(step, x, true));
  const auto off = reference::compare(truth.values[0], steps.bounds[0], got);
  EXPECT_FALSE(off) << off->text(got.elements());
  EXPECT_EQ(check(whole), 1);  // the chip's own causal layer is near the same truth
  double most = 0, allowed = 0;
  for (size_t i = 0; i < truth.values[0].real.size(); ++i) {
    most = std::max(most, std::fabs(got.at(static_cast<int64_t>(i)) - truth.values[0].real[i]));
    allowed = std::max(allowed, steps.bounds[0].allowed[i]);
  }
  std::printf("12 steps: off by %.2g at most, allowed up to %.2g\n", most, allowed);
}

TEST(ChipKunlunTransformer, CachesInPlaceAndCopiedGiveTheSameBits) {
  const Values weights = weights_of(kWidth, kInner, 10);
  const Literal x = random_literal({1, kSteps, kWidth}, 3);
  const Graph step = Step().graph(weights), parts = in_parts(step);
  const std::vector<double> in_place = decoded(step, x, true);
  EXPECT_EQ(in_place, decoded(step, x, false));
  EXPECT_EQ(in_place, decoded(parts, x, false));  // with zeros behind the position, maxima are the same too
}

TEST(ChipKunlunTransformer, APositionBeyondTheCacheIsItsLast) {
  const Graph step = Step().graph(weights_of(kWidth, kInner, 10));
  for (const int64_t position : {int64_t{-3}, kLength - 1, kLength + 5}) {
    const std::vector<Literal> inputs = {random_literal({1, 1, kWidth}, 3), random_literal(kCache, 4),
                                         random_literal(kCache, 5), scalar_i32(position)};
    EXPECT_NO_THROW(certify::verify_through_runtime(xpu(), step, inputs, "", true)) << position;
  }
}

TEST(ChipKunlunTransformer, AStepWholeAndInParts) {
  struct Row {
    const char* name;
    int64_t width, heads, length;
  };
  for (const Row& row : {Row{"small", 64, 4, 96}, Row{"GPT-2 small", 768, 12, 1024}}) {
    std::printf("%s: %d features, %d heads, %d positions\n", row.name, static_cast<int>(row.width),
                static_cast<int>(row.heads), static_cast<int>(row.length));
    const Shape cache = {1, row.heads, row.length, row.width / row.heads};
    const Value x = parameter(f32, {1, 1, row.width}), keys = parameter(f32, cache), values = parameter(f32, cache),
                position = parameter(i32, {});
    const Graph whole({x, keys, values, position},
                      decoder(x, keys, values, position, weights_of(row.width, 4 * row.width, 10), {}));
    const Measured fused = measured("whole", whole), apart = measured("in parts", in_parts(whole));
    EXPECT_EQ(fused.launches, 1);
    EXPECT_GE(apart.launches, 10);
    EXPECT_LT(fused.us, apart.us);
    EXPECT_EQ(fused.arena_mb, 0);
  }
}

// ---- time, and what is not taken

// Large enough for products, vector instructions, the caches and what passes between the parts, which lies in L3, to
// count.
TEST(ChipKunlunTransformer, TheClockAgreesWithTheLedger) {
  const Value x = parameter(f32, {1, 512, 128}), now = parameter(f32, {1, 1, 512}),
              keys = parameter(f32, {1, 8, 1024, 64}), values = parameter(f32, {1, 8, 1024, 64}),
              position = parameter(i32, {});
  measured("encoder",
           Graph({x}, {encoder(x, weights_of(128, 2048, 10), {{"heads", int64_t{4}}, {"pre_norm", false}})}));
  measured("decoder", Graph({now, keys, values, position},
                            decoder(now, keys, values, position, weights_of(512, 2048, 10), {{"pre_norm", false}})));
}

// A refusal has a reason, and the layer then runs in its parts.
TEST(ChipKunlunTransformer, WhatTheLibraryLacksIsTakenApart) {
  const Values weights = weights_of(16, 32, 10);
  const Value x = parameter(f32, {1, 4, 16}), mask = parameter(boolean, {4, 4});
  const Graph masked({x, mask}, {encoder(x, weights, {{"heads", int64_t{2}}}, mask)});
  const runtime::Answer no = runtime::ask(runtime::Device::get("xpu:0"), masked);
  EXPECT_EQ(no.verdict, TRM_NO);
  EXPECT_EQ(no.reason, "masks of f32 only");
  EXPECT_GT(plan_of(masked)->ledger().launches, 8);
  const Literal seen = Literal::from_doubles(boolean, {4, 4}, std::vector<double>(16, 1.0));
  EXPECT_NO_THROW(certify::verify_through_runtime(xpu(), masked, {random_literal(x.shape(), 3), seen}, ""));

  const Step step;
  const Value wide = parameter(i64, {});
  const Graph long_position({step.x, step.keys, step.values, wide},
                            decoder(step.x, step.keys, step.values, wide, weights_of(kWidth, kInner, 10), kForm));
  EXPECT_EQ(runtime::ask(runtime::Device::get("xpu:0"), long_position).reason, "positions of i32 only");
  EXPECT_GT(plan_of(long_position)->ledger().launches, 8);
}

TEST(ChipKunlunTransformer, BadShapesAreErrors) {
  const Values weights = weights_of(16, 32, 10);
  const auto text_of = [](const auto& f) {
    try {
      f();
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  const auto encoder_text = [&](const Shape& x, int64_t heads) {
    return text_of([&] { encoder(parameter(f32, x), weights, {{"heads", heads}}); });
  };
  EXPECT_NE(encoder_text({1, 4, 16}, 3).find("transformer_encoder_layer_c1"), std::string::npos);
  EXPECT_NE(encoder_text({1, 4, 8}, 2).find("transformer_encoder_layer_c2"), std::string::npos);
  const std::string caches = text_of([&] {
    decoder(parameter(f32, {1, 1, 16}), parameter(f32, {1, 2, 5, 8}), parameter(f32, {1, 2, 6, 8}), parameter(i32, {}),
            weights, {});
  });
  EXPECT_NE(caches.find("transformer_decoder_step_c7"), std::string::npos) << caches;
}

}  // namespace
}  // namespace trireme::testing
