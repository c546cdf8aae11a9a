// Speed of the cpu chip's kernels through its ABI: products, the convolutions of ResNet-50, fused elementwise regions,
// reductions, softmax, attention. GFLOP/s counts two operations per multiply-add; GB/s counts inputs read and outputs
// written once.
#include <benchmark/benchmark.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "trireme/chip/chip.hpp"
#include "trireme/ir/registry.h"
#include "trireme/runtime/host.h"
#include "trireme/runtime/program.h"

extern "C" int32_t trm_chip_entry_v1_cpu(const TrmHost* host, TrmChip* chip);

namespace trireme {
namespace {

struct Cpu {
  TrmChip chip = chip::sized<TrmChip>();
  TrmDev* dev = nullptr;
  Cpu() {
    trm_chip_entry_v1_cpu(&runtime::host_services(), &chip);
    chip.device->open(0, nullptr, 0, &dev, nullptr);
  }
};
const Cpu& cpu() {
  static const Cpu one;
  return one;
}

Value op(std::string_view name, std::vector<Value> inputs,
         const std::vector<std::pair<std::string_view, Attribute>>& given = {}) {
  const OpDecl& decl = get_op(name);
  std::vector<Attribute> attributes;
  for (const AttributeSpec& spec : decl.attributes.list) {
    attributes.push_back(spec.fallback);
    for (const auto& [key, value] : given) {
      if (key == spec.name) attributes.back() = value;
    }
  }
  return make_node(decl, std::move(inputs), std::move(attributes));
}

// Runs the graph on operands that are dense unless strides are given; `flops` of one run.
void run(benchmark::State& state, const Graph& graph, double flops, std::span<const Strides> strides = {},
         std::span<const Strides> result_strides = {}) {
  const auto program = runtime::make_program(graph, strides, result_strides);
  TrmErr err = chip::sized<TrmErr>();
  TrmKernel* kernel = nullptr;
  if (cpu().chip.compute->prepare(cpu().dev, program.get(), &kernel, &err) != TRM_OK) {
    state.SkipWithError(err.text);
    return;
  }
  std::vector<TrmMem> mems;
  double bytes = 0;
  const auto add = [&](const Value& v) {
    TrmMem mem;
    if (cpu().chip.device->chunk_alloc(cpu().dev, 1, v.type().bytes(), 0, &mem, &err) != TRM_OK)
      throw std::runtime_error(err.text);
    const Literal values = Literal::filled(v.dtype(), v.shape(), 0.5);
    std::copy_n(static_cast<const std::byte*>(values.data()), values.bytes(), reinterpret_cast<std::byte*>(mem.handle));
    mems.push_back(mem);
    bytes += static_cast<double>(v.type().bytes());
  };
  for (const Value& v : graph.inputs()) add(v);
  for (const Value& v : graph.outputs()) add(v);
  for (auto _ : state) {
    cpu().chip.compute->enqueue(cpu().dev, kernel, mems.data(), static_cast<uint32_t>(mems.size()), nullptr, nullptr, 1,
                                &err);
  }
  for (const TrmMem& mem : mems) cpu().chip.device->chunk_free(cpu().dev, &mem);
  cpu().chip.compute->release(cpu().dev, kernel);
  using benchmark::Counter;
  if (flops > 0) state.counters["GFLOP/s"] = Counter(flops * 1e-9, Counter::kIsIterationInvariantRate);
  else state.counters["GB/s"] = Counter(bytes * 1e-9, Counter::kIsIterationInvariantRate);
}

void product(benchmark::State& state, DType type, bool known) {
  const int64_t m = state.range(0), k = state.range(1), n = state.range(2);
  const Value a = parameter(type, {1, m, k});
  const double flops = 2.0 * static_cast<double>(m) * static_cast<double>(k) * static_cast<double>(n);
  if (known) {
    const auto weights = std::make_shared<const Literal>(Literal::filled(type, {1, k, n}, 0.5));
    run(state, Graph({a}, {op("dot_general", {a, op("constant", {}, {{"value", weights}})})}), flops);
  } else {
    const Value b = parameter(type, {1, k, n});
    run(state, Graph({a, b}, {op("dot_general", {a, b})}), flops);
  }
}
void sizes(benchmark::internal::Benchmark* b) {
  for (int64_t n : {64, 128, 256, 512, 768, 1024, 2048}) b->Args({n, n, n});
  b->Args({1, 4096, 4096})->Args({8, 768, 3072})->Args({128, 768, 3072})->Args({64, 100000, 64})->UseRealTime();
}
BENCHMARK_CAPTURE(product, f32, f32, false)->Apply(sizes);
BENCHMARK_CAPTURE(product, f32_packed_weights, f32, true)->Apply(sizes);
// u8 times known i8, sums in i32.
void product_int8(benchmark::State& state) {
  const int64_t m = state.range(0), k = state.range(1), n = state.range(2);
  const Value a = parameter(u8, {1, m, k});
  const auto weights = std::make_shared<const Literal>(Literal::filled(i8, {1, k, n}, 3));
  const double operations = 2.0 * static_cast<double>(m) * static_cast<double>(k) * static_cast<double>(n);
  run(state, Graph({a}, {op("integer_dot_general", {a, op("constant", {}, {{"value", weights}})})}), operations);
}
BENCHMARK(product_int8)->Apply(sizes);
BENCHMARK_CAPTURE(product, bf16, bf16, false)->Args({512, 512, 512})->Args({1024, 1024, 1024})->UseRealTime();
BENCHMARK_CAPTURE(product, f64, f64, false)->Args({512, 512, 512})->UseRealTime();
BENCHMARK_CAPTURE(product, i32, i32, false)->Args({256, 256, 256})->UseRealTime();

// images, channels, size, outputs, kernel, stride
void convolution(benchmark::State& state, DType type) {
  const int64_t n = state.range(0), c = state.range(1), size = state.range(2), o = state.range(3), k = state.range(4),
                s = state.range(5);
  const int64_t pad = k / 2, to = (size + 2 * pad - k) / s + 1;
  const Value x = parameter(type, {n, c, size, size});
  const auto weights = std::make_shared<const Literal>(Literal::filled(type == u8 ? i8 : type, {o, c, k, k}, 3));
  const Value y = op(type == u8 ? "integer_convolution" : "convolution", {x, op("constant", {}, {{"value", weights}})},
                     {{"strides", Ints{s, s}},
                      {"low", Ints{pad, pad}},
                      {"high", Ints{pad, pad}},
                      {"dilation", Ints{1, 1}},
                      {"input_dilation", Ints{1, 1}},
                      {"groups", int64_t{1}}});
  run(state, Graph({x}, {y}), 2.0 * static_cast<double>(n * o * to * to) * static_cast<double>(c * k * k));
}
void images(benchmark::internal::Benchmark* b) {
  b->Args({1, 3, 224, 64, 7, 2})
      ->Args({1, 64, 56, 64, 1, 1})
      ->Args({1, 64, 56, 64, 3, 1})
      ->Args({1, 256, 56, 128, 1, 1})
      ->Args({1, 128, 28, 128, 3, 1})
      ->Args({1, 256, 14, 256, 3, 1})
      ->Args({1, 1024, 14, 512, 1, 1})
      ->Args({1, 512, 7, 512, 3, 1})
      ->Args({8, 512, 7, 512, 3, 1})
      ->Args({64, 16, 28, 32, 3, 1})
      ->UseRealTime();
}
BENCHMARK_CAPTURE(convolution, f32, f32)->Apply(images);
BENCHMARK_CAPTURE(convolution, int8, u8)->Apply(images);

void depthwise(benchmark::State& state) {
  const int64_t c = state.range(0), size = state.range(1);
  const Value x = parameter(f32, {1, c, size, size}), w = parameter(f32, {c, 1, 3, 3});
  const Value y = op("convolution", {x, w},
                     {{"strides", Ints{1, 1}},
                      {"low", Ints{1, 1}},
                      {"high", Ints{1, 1}},
                      {"dilation", Ints{1, 1}},
                      {"input_dilation", Ints{1, 1}},
                      {"groups", c}});
  run(state, Graph({x, w}, {y}), 18.0 * static_cast<double>(c * size * size));
}
BENCHMARK(depthwise)->Args({128, 56})->Args({512, 14})->UseRealTime();

// tanh-form GELU of x + bias: seven operations fused.
void bias_gelu(benchmark::State& state) {
  const Shape shape{state.range(0), state.range(1)};
  const Value x = parameter(f32, shape), bias = parameter(f32, shape);
  const auto number = [&](double v) {
    return op("fill", {}, {{"shape", shape.vector()}, {"dtype", f32}, {"value", v}});
  };
  const Value v = op("add", {x, bias});
  const Value cube = op("mul", {op("mul", {v, v}), v});
  const Value inside = op("mul", {op("add", {v, op("mul", {cube, number(0.044715)})}), number(0.79788456)});
  const Value y = op("mul", {op("mul", {v, number(0.5)}), op("add", {op("tanh", {inside}), number(1.0)})});
  const Strides strides[] = {dense_strides(shape), Strides{0, 1}};
  run(state, Graph({x, bias}, {y}), 0, strides);
}
BENCHMARK(bias_gelu)->Args({1024, 3072})->Args({64, 512})->UseRealTime();

void elementwise(benchmark::State& state, const char* name, int inputs, DType type) {
  const Shape shape{state.range(0)};
  std::vector<Value> values;
  for (int i = 0; i < inputs; ++i) values.push_back(parameter(type, shape));
  run(state, Graph(values, {op(name, values)}), 0);
}
BENCHMARK_CAPTURE(elementwise, add_f32, "add", 2, f32)->Arg(1)->Arg(1000)->Arg(100000)->Arg(10000000)->UseRealTime();
BENCHMARK_CAPTURE(elementwise, add_bf16, "add", 2, bf16)->Arg(100000)->UseRealTime();
BENCHMARK_CAPTURE(elementwise, exp_f32, "exp", 1, f32)->Arg(100000)->UseRealTime();
BENCHMARK_CAPTURE(elementwise, log_f32, "log", 1, f32)->Arg(100000)->UseRealTime();
BENCHMARK_CAPTURE(elementwise, erf_f32, "erf", 1, f32)->Arg(100000)->UseRealTime();
BENCHMARK_CAPTURE(elementwise, sin_f32, "sin", 1, f32)->Arg(100000)->UseRealTime();

void reduce_sum(benchmark::State& state) {
  const Value x = parameter(f32, {state.range(0), state.range(1)});
  run(state, Graph({x}, {op("reduce_sum", {x}, {{"axes", Ints{state.range(2)}}, {"keepdims", false}})}), 0);
}
BENCHMARK(reduce_sum)
    ->Args({1000, 1000, 0})
    ->Args({1000, 1000, 1})
    ->Args({60000, 10, 1})
    ->Args({60000, 10, 0})
    ->UseRealTime();

void softmax(benchmark::State& state) {
  const Value x = parameter(f32, {state.range(0), state.range(1)});
  run(state, Graph({x}, {op("softmax", {x})}), 0);
}
BENCHMARK(softmax)->Args({12288, 128})->Args({1000, 1000})->UseRealTime();

Strides heads_inside(const Shape& s) { return {s[2] * s[1] * s[3], s[3], s[1] * s[3], 1}; }
// batch, heads, positions, width; two products forward and five backward.
void attention(benchmark::State& state, DType type, bool causal) {
  const Shape shape{state.range(0), state.range(1), state.range(2), state.range(3)};
  const Value q = parameter(type, shape), k = parameter(type, shape), v = parameter(type, shape);
  const double flops = 4.0 * static_cast<double>(shape.elements()) * static_cast<double>(shape[2]);
  const Strides results[] = {heads_inside(shape)};
  run(state, Graph({q, k, v}, {op("attention", {q, k, v}, {{"causal", causal}})}), causal ? flops / 2 : flops, {},
      results);
}
void attention_gradient(benchmark::State& state, DType type, bool causal) {
  const Shape shape{state.range(0), state.range(1), state.range(2), state.range(3)};
  std::vector<Value> inputs;
  for (int i = 0; i < 5; ++i) inputs.push_back(parameter(type, shape));
  const Value dq = op("attention_gradient", inputs, {{"causal", causal}});
  const double flops = 10.0 * static_cast<double>(shape.elements()) * static_cast<double>(shape[2]);
  const Strides results[] = {heads_inside(shape), heads_inside(shape), heads_inside(shape)};
  run(state, Graph(inputs, {dq, Value(dq.node(), 1), Value(dq.node(), 2)}), causal ? flops / 2 : flops, {}, results);
}
void sequences(benchmark::internal::Benchmark* b) {
  b->Args({1, 12, 128, 64})->Args({8, 12, 128, 64})->Args({1, 12, 1024, 64})->Args({16, 4, 128, 32})->UseRealTime();
}
BENCHMARK_CAPTURE(attention, f32, f32, false)->Apply(sequences);
BENCHMARK_CAPTURE(attention, causal_f32, f32, true)->Apply(sequences);
BENCHMARK_CAPTURE(attention, bf16, bf16, false)->Apply(sequences);
BENCHMARK_CAPTURE(attention_gradient, f32, f32, false)->Apply(sequences);
BENCHMARK_CAPTURE(attention_gradient, causal_f32, f32, true)->Apply(sequences);

void transpose_copy(benchmark::State& state) {
  const int64_t n = state.range(0);
  const Value x = parameter(f32, {n, n});
  const Strides strides[] = {Strides{1, n}};
  run(state, Graph({x}, {op("strided_copy", {x})}), 0, strides);
}
BENCHMARK(transpose_copy)->Arg(1024)->UseRealTime();

void random_bits(benchmark::State& state) {
  const Value key = parameter(u32, {4});
  run(state, Graph({key}, {op("rng_bits", {key}, {{"shape", Ints{state.range(0)}}})}), 0);
}
BENCHMARK(random_bits)->Arg(1000000)->UseRealTime();

}  // namespace
}  // namespace trireme
