// Several threads use one device at once: plans, uploads, reads, compiled functions, control flow, failures. refchip
// refuses a call on a stream while another thread's call on it has not returned, so nothing here may rely on luck.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <functional>
#include <thread>

#include "persona.h"
#include "trireme/ir/registry.h"
#include "trireme/ops/ops.h"
#include "trireme/ops/value.h"
#include "trireme/runtime/plan_cache.h"
#include "trireme/tensor/tensor.h"

namespace trireme::testing {
namespace {

using runtime::Buffer;
using runtime::BufferRef;
using runtime::Device;
using runtime::Plan;

constexpr int kThreads = 4, kRounds = 40;

// Runs work(thread) on all threads; the first exception of each is a failure of the test.
void on_threads(const std::function<void(int)>& work) {
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&work, t] {
      try {
        work(t);
      } catch (const std::exception& error) {
        ADD_FAILURE() << "thread " << t << ": " << error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Something for both lanes, and for the CPU: sin runs nowhere else. x: f32[n].
std::vector<Tensor> job(const Tensor& x) {
  const Tensor bent = sin(x * 2);
  return {cumsum(bent + x, 0), sum(exp(bent))};
}

Literal argument(int thread, int round) {
  std::vector<double> values;
  for (int i = 0; i < 5 + thread; ++i) values.push_back(0.25 * i - 0.125 * thread + 0.01 * round);
  return Literal::from_doubles(f32, {static_cast<int64_t>(values.size())}, values);
}

Device& busy_chip(const std::string& name, const std::string& more = "") {
  return persona_device(write_persona(
      name, cat("{'name': '", name, "', 'max_delay_us': 5, 'compute': {'ops': {'except': ['sin']}}", more, "}")));
}

void expect_equal(const Literal& got, const Literal& expected) {
  ASSERT_EQ(got.shape(), expected.shape());
  for (int64_t i = 0; i < got.elements(); ++i) ASSERT_NEAR(got.at(i), expected.at(i), 1e-5) << "element " << i;
}

TEST(Threads, PlansOfTheirOwnOnOneDevice) {
  std::vector<Graph> graphs;
  std::vector<std::vector<std::vector<Literal>>> expected(kThreads);
  set_device("cpu");
  set_fallback(Fallback::kAllow);
  for (int t = 0; t < kThreads; ++t) {
    const Tensor x(argument(t, 0));
    graphs.push_back(capture({x}, job(x)));
    const auto plan = Plan::make(graphs.back(), {.target = &Device::host()});
    for (int round = 0; round < kRounds; ++round) {
      const BufferRef input = Buffer::from(Device::host(), argument(t, round));
      expected[t].emplace_back();
      for (const BufferRef& result : plan->run({&input, 1})) expected[t].back().push_back(result->read());
    }
  }
  for (const char* more : {"", ", 'synchronous': true", ", 'withhold': ['stream_*', 'event_*']"}) {
    SCOPED_TRACE(more);
    Device& device = busy_chip(cat("plans-", std::string(more).size()), more);
    const auto shared = Plan::make(graphs[0], {.target = &device, .fallback = Fallback::kAllow});
    on_threads([&](int t) {
      const auto own = Plan::make(graphs[t], {.target = &device, .fallback = Fallback::kAllow});
      for (int round = 0; round < kRounds; ++round) {
        const bool take_shared = round % 3 == 0;
        const int data = take_shared ? 0 : t;
        const BufferRef input = Buffer::from(device, argument(data, round));
        const auto results = (take_shared ? shared : own)->run({&input, 1});
        for (size_t k = 0; k < results.size(); ++k) expect_equal(results[k]->read(), expected[data][round][k]);
      }
    });
  }
}

TEST(Threads, CompiledFunctionsAndLoops) {
  Device& device = busy_chip("functions");
  set_device(device.name());
  set_fallback(Fallback::kAllow);
  on_threads([&](int t) {
    Tensor total = tensor({0, 0});
    auto step = compile([&](const Tensor& x) {
      total.assign(total + x);
      const std::vector<Value> c{parameter(f32, {}), parameter(f32, {})}, b{parameter(f32, {}), parameter(f32, {})};
      const Graph condition(c, {ops::compare(c[0], ops::scalar(f32, 3), "lt")});
      const Graph body(b, {b[0] + 1.0, ops::sin(b[1]) + b[1]});
      return Tensor(ops::while_loop({Tensor(0.0).value(), sum(x).value()}, condition, body)[1]);
    });
    double expected_total = 0;
    for (int round = 0; round < kRounds; ++round) {
      const float value = 0.1F * static_cast<float>(t + 1) + 0.01F * static_cast<float>(round);
      double expected = value + value;
      for (int i = 0; i < 3; ++i) expected += std::sin(expected);
      expected_total += value;
      ASSERT_NEAR(step(tensor({value, value})).item(), expected, 1e-4);
    }
    ASSERT_NEAR(total.literal().at(1), expected_total, 1e-3);
  });
  set_device("cpu");
}

// One thread's commands fail again and again. The others get right values or are told; nobody gets wrong ones.
TEST(Threads, AFailureIsToldToAllItConcerns) {
  Device& device = busy_chip("failing");
  const Value x = parameter(f32, {7});
  const Graph graph({x}, {make_node(get_op("exp"), {x}, {})});
  std::atomic<int> told{0}, right{0};
  std::atomic<bool> stop{false};
  std::thread saboteur([&] {
    while (!stop) {
      device.inject_fault(TRM_FAULT_NEXT_COMMAND, runtime::reserve_tags(std::make_shared<runtime::StepTexts>(1)) + 3);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  });
  on_threads([&](int t) {
    const auto plan = Plan::make(graph, {.target = &device, .fallback = Fallback::kAllow});
    for (int round = 0; round < 5 * kRounds; ++round) {
      try {
        const double value = 0.1 * t + 0.001 * round;
        const BufferRef input = Buffer::from(device, Literal::from_doubles(f32, {7}, std::vector<double>(7, value)));
        const BufferRef once = plan->run({&input, 1})[0];
        const Literal result = plan->run({&once, 1})[0]->read();
        ++right;
        for (int i = 0; i < 7; ++i) ASSERT_NEAR(result.at(i), std::exp(std::exp(value)), 1e-4);
      } catch (const Error& error) {
        ++told;
        ASSERT_EQ(error.code(), Code::kDeviceFault) << error.what();
        ASSERT_NE(std::string(error.what()).find("provoked"), std::string::npos) << error.what();
      }
    }
  });
  stop = true;
  saboteur.join();
  EXPECT_GT(told, 0);
  EXPECT_GT(right, 0);
  std::cout << right << " times right, " << told << " times told\n";
}

}  // namespace
}  // namespace trireme::testing
