// Convolutions of the cpu chip, their gradients, pooling, and what runs in one kernel with sums.
//
// ctest: each-isa timeout=600
#include "cpu_chip.h"

namespace trireme::testing {
namespace {

// ---- convolutions ---------------------------------------------------------------------------------------------------

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
    {{1, 600, 7, 9}, {50, 300, 1, 1}, {1, 1}, {0, 0}, {0, 0}, {1, 1}, {1, 1}, 2},  // long sums
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
// A constant that repeats one number lies as it lies, whatever order the chip would like: the seed of a gradient does.
TEST(CpuConvolution, ConstantImages) {
  const Cpu cpu;
  std::mt19937 random(53);
  const auto ones = [](const Shape& shape) {
    const auto one = std::make_shared<const Literal>(Literal::filled(f32, Shape{}, 1.0));
    return op("broadcast_to", {op("constant", {}, {{"value", one}})}, {{"shape", shape.vector()}});
  };
  for (const ConvolutionForm& g : kConvolutionForms) {
    SCOPED_TRACE(cat("x ", g.x, " w ", g.w));
    const Value w = parameter(f32, g.w);
    std::vector<double> whole = random_literal(w.type(), random, -3.0, 3.0).to_doubles();
    for (double& v : whole) v = std::trunc(v);  // no rounding can hide a mistake
    check(cpu, Graph({w}, {g.of(ones(g.x), w)}), {Literal::from_doubles(f32, g.w, whole)}, Lie::kDense, Lie::kDense);
  }
  const Value x = parameter(f32, {2, 3, 8, 6}), y = parameter(f32, {2, 3, 4, 3});
  const Value dx = op("max_pool_gradient", {x, y, ones(y.shape())},
                      {{"window", Ints{1, 1, 2, 2}},
                       {"strides", Ints{1, 1, 2, 2}},
                       {"low", Ints(4, 0)},
                       {"high", Ints(4, 0)},
                       {"dilation", Ints(4, 1)}});
  std::vector<Literal> inputs = {random_literal(x.type(), random), random_literal(y.type(), random)};
  const Ran ran = run_on_chip(cpu, Graph({x, y}, {dx}), inputs);
  if (ran.answer.verdict != TRM_NO) expect_meaning(Graph({x, y}, {dx}), inputs, ran.outputs);
}

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

}  // namespace
}  // namespace trireme::testing
