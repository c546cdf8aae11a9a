// Failures of a chip as a user of the runtime meets them. For every command of a small plan: it fails, it fails late,
// the device is lost at it; for every allocation: there is no memory. Each ends in an Error of the right kind within
// two seconds that names op and source line; nothing leaks; other devices go on, and so does the same one, after a
// reset where that is needed.
#include <gtest/gtest.h>

#include <chrono>
#include <optional>

#include "persona.h"
#include "trireme/ir/registry.h"
#include "trireme/runtime/plan_cache.h"
#include "trireme/tensor/tensor.h"

namespace trireme::testing {
namespace {

using runtime::Buffer;
using runtime::BufferRef;
using runtime::Device;
using runtime::Plan;
using runtime::PlanOptions;

// A small job: some ops the chip takes, none of which run together, one (sin) that only the CPU has, and the source
// line of each. The faulty chips are so fast that everything but sin runs there.
struct Job {
  Graph graph;
  std::map<std::string, int> lines;
  std::vector<Literal> inputs, expected;

  Job() {
    inputs.push_back(Literal::from_doubles(f32, {3, 4}, std::vector<double>{1, -2, 3, 4, 0.5, 6, -7, 8, 9, 1, 2, -3}));
    inputs.push_back(Literal::from_doubles(f32, {4, 3}, std::vector<double>{2, 1, 0, -1, 3, 5, 1, 1, 1, 0.25, 4, 2}));
    set_device("cpu");
    const Tensor x(inputs[0]), w(inputs[1]);
    // clang-format off
    const Tensor product = matmul(x, w);          lines["matmul"] = __LINE__;
    const Tensor soft = softmax(product, -1);     lines["softmax"] = __LINE__;
    const Tensor scaled = soft * 0.125;           lines["mul"] = __LINE__;
    const Tensor bent = sin(scaled);              lines["sin"] = __LINE__;
    const Tensor ordered = cumsum(bent, 0);       lines["cumsum"] = __LINE__;
    const Tensor wide = concat({ordered, bent}, 1);  lines["concat"] = __LINE__;
    const Tensor total = sum(product);            lines["sum"] = __LINE__;
    // clang-format on
    graph = capture({x, w}, {wide, total});
    const auto plan = Plan::make(graph, {.target = &Device::host(), .fallback = Fallback::kAllow});
    expected = run(*plan, Device::host());
  }

  std::shared_ptr<Plan> plan(Device& device) const {
    return Plan::make(graph, {.target = &device, .fallback = Fallback::kAllow});
  }
  std::vector<BufferRef> upload(Device& device) const {
    return {Buffer::from(device, inputs[0]), Buffer::from(device, inputs[1])};
  }
  std::vector<Literal> run(Plan& plan, Device& device) const {
    std::vector<Literal> out;
    for (const BufferRef& result : plan.run(upload(device))) out.push_back(result->read());
    return out;
  }
  void expect_right(Device& device) const {
    const std::vector<Literal> got = run(*plan(device), device);
    for (size_t k = 0; k < expected.size(); ++k) {
      for (int64_t i = 0; i < expected[k].elements(); ++i) EXPECT_NEAR(got[k].at(i), expected[k].at(i), 1e-4);
    }
  }
  // The text of a command names one of the job's ops and that op's line.
  bool names_an_op(const std::string& text) const {
    return std::any_of(lines.begin(), lines.end(), [&](const auto& each) {
      return text.find(each.first + " ") != std::string::npos &&
             text.find(cat(":", each.second, ")")) != std::string::npos;
    });
  }
};
const Job& job() {
  static const Job one;
  return one;
}

Device& faulty(const std::string& name, const std::string& more) {
  return persona_device(write_persona(
      name, cat("{'name': '", name,
                "', 'max_delay_us': 20, 'compute': {'ops': {'except': ['sin']}}, 'rates': {'flops_f32': "
                "1e15, 'memory_bandwidth': 1e15, 'link_bandwidth': 1e15, 'link_latency_ns': 0, 'launch_latency_ns': 0}",
                more, "}")));
}

struct Outcome {
  std::optional<Error> error;
  double seconds = 0;
};

// Runs the job with one fault injected at the n-th command of its plan.
struct Trial {
  std::string victim;  // text of the command
  size_t commands = 0;
  Outcome outcome;
};
Trial trial(Device& device, TrmFault kind, size_t n) {
  const auto plan = job().plan(device);
  const auto inputs = job().upload(device);
  const uint64_t before = runtime::reserve_tags(std::make_shared<runtime::StepTexts>(1));
  device.inject_fault(kind, before + 1 + n);
  Trial out;
  const auto begin = std::chrono::steady_clock::now();
  try {
    std::vector<BufferRef> results = plan->run(inputs);
    for (const BufferRef& result : results) result->read();
  } catch (const Error& error) {
    out.outcome.error = error;
  }
  out.outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  out.victim = runtime::tag_text(before + 1 + n);
  // Tags of the run itself.
  for (out.commands = 0; !runtime::tag_text(before + 1 + out.commands).empty() && out.commands < 200; ++out.commands) {
  }
  return out;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// All commands of the plan in turn. `check` sees each error; afterwards the device must compute again.
template <class Check>
void every_command(Device& device, TrmFault kind, bool needs_reset, Check check) {
  device.trim();
  const uint64_t chunks = counted(device, "chunks");
  size_t commands = 1, failed = 0;
  for (size_t n = 0; n < commands; ++n) {
    Trial one = trial(device, kind, n);
    if (n == 0) commands = std::min<size_t>(one.commands, 60);
    SCOPED_TRACE(cat("command ", n, ": ", one.victim));
    EXPECT_LT(one.outcome.seconds, 2.0);
    if (!one.outcome.error) {  // nothing the chip runs: an event, or an op of the CPU
      EXPECT_TRUE(one.victim == "event" || one.victim.starts_with("sin")) << "the fault went unnoticed";
      continue;
    }
    ++failed;
    EXPECT_EQ(one.outcome.error->code(), Code::kDeviceFault);
    EXPECT_TRUE(job().names_an_op(one.victim)) << one.victim;
    check(one, one.outcome.error->what());
    Device& host = Device::host();
    job().expect_right(host);
    if (n % 4 == 0) job().expect_right(persona_device("full"));
    if (needs_reset) {
      try {
        job().run(*job().plan(device), device);
        ADD_FAILURE() << "the device took work before it was reset";
      } catch (const Error& refused) {
        EXPECT_TRUE(contains(refused.what(), "reset")) << refused.what();
      }
      device.reset();
    }
    job().expect_right(device);
  }
  EXPECT_GE(failed, 6u) << "commands of the chip";
  std::cout << device.name() << ": " << failed << " of " << commands << " commands failed in turn\n";
  device.trim();
  EXPECT_EQ(counted(device, "chunks"), chunks) << "memory leaks";
}

TEST(Fault, EveryCommandFails) {
  every_command(faulty("exact", ""), TRM_FAULT_NEXT_COMMAND, false, [](const Trial& one, const std::string& what) {
    EXPECT_TRUE(contains(what, "in " + one.victim)) << what;
  });
}

TEST(Fault, EveryCommandFailsOnAChipWithoutStreams) {
  every_command(
      faulty("exact-queue", ", 'withhold': ['stream_*', 'event_*']"), TRM_FAULT_NEXT_COMMAND, true,
      [](const Trial& one, const std::string& what) { EXPECT_TRUE(contains(what, "in " + one.victim)) << what; });
}

TEST(Fault, EveryCommandFailsOnASynchronousChip) {
  every_command(
      faulty("synchronous", ", 'synchronous': true"), TRM_FAULT_NEXT_COMMAND, false,
      [](const Trial& one, const std::string& what) { EXPECT_TRUE(contains(what, "in " + one.victim)) << what; });
}

// A chip that names a window: the commands of the window are listed, and the victim is among them; run again step by
// step a fault that does not come back is called that.
TEST(Fault, EveryCommandFailsLate) {
  every_command(faulty("late", ", 'error_precision': 'window'"), TRM_FAULT_LATE, false,
                [](const Trial& one, const std::string& what) {
                  EXPECT_TRUE(contains(what, one.victim)) << what;
                  EXPECT_TRUE(contains(what, "since the last wait") || contains(what, "in " + one.victim)) << what;
                  EXPECT_TRUE(contains(what, "run again step by step, nothing failed")) << what;
                });
}

TEST(Fault, EveryCommandFailsAndTheChipNamesNone) {
  every_command(faulty("silent", ", 'error_precision': 'unknown'"), TRM_FAULT_NEXT_COMMAND, false,
                [](const Trial& one, const std::string& what) { EXPECT_TRUE(contains(what, one.victim)) << what; });
}

TEST(Fault, EveryCommandLosesTheDevice) {
  every_command(faulty("lost", ""), TRM_FAULT_LOST, true, [](const Trial& one, const std::string& what) {
    EXPECT_TRUE(contains(what, "in " + one.victim)) << what;
    EXPECT_TRUE(contains(what, "until it is reset")) << what;
  });
}

// Reset is emulated by closing and opening again: handles from before are gone.
TEST(Fault, EveryCommandLosesADeviceWithoutReset) {
  every_command(
      faulty("lost-for-good", ", 'withhold': ['reset']"), TRM_FAULT_LOST, true,
      [](const Trial& one, const std::string& what) { EXPECT_TRUE(contains(what, "in " + one.victim)) << what; });
}

// A kernel that always fails, on a chip that only names windows: the replay finds op and line.
TEST(Fault, AReplayNamesTheOp) {
  for (const char* op : {"matmul", "softmax", "cumsum"}) {
    SCOPED_TRACE(op);
    Device& device =
        faulty(cat("always-", op),
               cat(", 'error_precision': 'window', 'faults': [{'kind': 'late', 'op': '", op, "', 'count': 1000}]"));
    for (int again = 0; again < 2; ++again) {
      try {
        job().run(*job().plan(device), device);
        ADD_FAILURE() << "nothing failed";
      } catch (const Error& error) {
        const std::string what = error.what();
        const size_t at = what.find("run again step by step, it fails in ");
        ASSERT_NE(at, std::string::npos) << what;
        EXPECT_TRUE(contains(what.substr(at), cat(op, " "))) << what;
        EXPECT_TRUE(contains(what.substr(at), cat(":", job().lines.at(op), ")"))) << what;
      }
    }
  }
}

// What a plan replaced in place cannot be computed again: the window is listed, and nothing runs twice.
TEST(Fault, WhatWasReplacedInPlaceIsNotRunAgain) {
  Device& device = faulty("in-place",
                          ", 'error_precision': 'window', 'faults': [{'kind': 'late', 'op': 'add', "
                          "'count': 1000}]");
  set_device(device.name());
  set_fallback(Fallback::kAllow);
  Tensor w = tensor({1, 2});
  auto step = compile([&](const Tensor& x) {
    w.assign(w + x);
    return sum(w);
  });
  try {
    step(tensor({1, 1})).item();
    ADD_FAILURE() << "nothing failed";
  } catch (const Error& error) {
    EXPECT_TRUE(contains(error.what(), "add")) << error.what();
    EXPECT_FALSE(contains(error.what(), "run again")) << error.what();
  }
  set_device("cpu");
}

// Whatever was behind a failed command never came to be, and reading it again does not help.
TEST(Fault, ResultsOfFailedWorkStayLost) {
  for (const char* more : {"", ", 'error_precision': 'window'", ", 'synchronous': true"}) {
    SCOPED_TRACE(more);
    Device& device = faulty(cat("stays-lost-", std::string(more).size()), more);
    const Value x = parameter(f32, {7});
    const auto plan = Plan::make(Graph({x}, {make_node(get_op("exp"), {x}, {})}), {.target = &device});
    const BufferRef zeros = Buffer::from(device, Literal::zeros(f32, {7}));
    const BufferRef before = plan->run({&zeros, 1})[0];
    EXPECT_EQ(before->read().at(0), 1.0);
    device.inject_fault(TRM_FAULT_NEXT_COMMAND, runtime::reserve_tags(std::make_shared<runtime::StepTexts>(1)) + 1);
    std::vector<BufferRef> results;
    try {
      results.push_back(plan->run({&zeros, 1})[0]);
      results.push_back(plan->run({results.data(), 1})[0]);
    } catch (const Error& error) {
      EXPECT_TRUE(device.synchronous()) << error.what();
    }
    for (int again = 0; again < 2; ++again) {
      for (const BufferRef& result : results) {
        try {
          result->read();
          ADD_FAILURE() << "a value that was never computed was read";
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), Code::kDeviceFault);
          EXPECT_TRUE(contains(error.what(), "exp")) << error.what();
        }
      }
    }
    if (!results.empty()) {
      EXPECT_THROW(plan->run({results.data(), 1}), Error) << "input that was never computed";
    }
    EXPECT_EQ(before->read().at(0), 1.0) << "what had been waited for is still there";
    EXPECT_EQ(plan->run({&zeros, 1})[0]->read().at(0), 1.0);
  }
}

TEST(Fault, EveryAllocationFails) {
  int failed = 0;
  bool more = true;
  for (int n = 1; more && n < 60; ++n) {
    SCOPED_TRACE(cat("allocation ", n));
    for (const int times : {1, 2}) {  // once: the runtime frees its cache and asks again
      const std::string name = cat("memory-", n, "-", times);
      const std::string file =
          write_persona(name, cat("{'name': '", name, "', 'faults': [{'kind': 'out_of_memory', 'command': ", n,
                                  ", 'count': ", times, "}]}"));
      Device& device = Device::get(cat("refchip:", n % 4, "?persona=", file));
      const auto begin = std::chrono::steady_clock::now();
      try {
        job().expect_right(device);
        if (times == 2) more = false;
      } catch (const Error& error) {
        ++failed;
        EXPECT_EQ(times, 2) << error.what();
        EXPECT_EQ(error.code(), Code::kOutOfMemory) << error.what();
        EXPECT_TRUE(contains(error.what(), "cannot allocate")) << error.what();
      }
      EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 2.0);
      job().expect_right(Device::host());
      job().expect_right(device);
      device.trim();
      EXPECT_EQ(counted(device, "chunks"), 0u) << "memory leaks";
      EXPECT_EQ(device.memory_use().used, 0u);
    }
  }
  EXPECT_FALSE(more);
  EXPECT_GE(failed, 4);
  std::cout << failed << " allocations failed in turn\n";
}

// --- reset -------------------------------------------------------------------------------------------------------

TEST(Reset, LosesValuesAndPlansAndSaysSo) {
  for (const char* more : {"", ", 'withhold': ['reset']"}) {
    SCOPED_TRACE(more);
    Device& device = faulty(*more != '\0' ? "reopened" : "reset", more);
    const auto inputs = job().upload(device);
    const PlanOptions options{.target = &device, .fallback = Fallback::kAllow};
    const auto plan = runtime::plan_for(job().graph, options);
    EXPECT_EQ(runtime::plan_for(job().graph, options), plan);
    const auto results = plan->run(inputs);
    device.reset();
    for (const BufferRef& buffer : {inputs[0], results[0]}) {
      try {
        buffer->read();
        ADD_FAILURE() << "a value survived the reset";
      } catch (const Error& error) {
        EXPECT_TRUE(contains(error.what(), "the device was reset")) << error.what();
      }
    }
    EXPECT_TRUE(plan->stale());
    EXPECT_THROW(plan->run(job().upload(device)), Error);
    const auto anew = runtime::plan_for(job().graph, options);
    EXPECT_NE(anew, plan);
    EXPECT_THROW(anew->run(inputs), Error) << "inputs from before the reset";
    job().expect_right(device);
  }
}

// A lost device is not taken for one that has no kernels: what could not be asked is asked again after the reset.
TEST(Reset, ALostDeviceIsAskedAgain) {
  Device& device = faulty("asked-again", "");
  const Value x = parameter(f32, {7});
  const Graph known({x}, {make_node(get_op("exp"), {x}, {})}), fresh({x}, {make_node(get_op("tanh"), {x}, {})});
  const auto on_chip = [&](const Graph& graph) {
    return Plan::make(graph, {.target = &device, .fallback = Fallback::kError});
  };
  const auto plan = on_chip(known);
  const BufferRef input = Buffer::from(device, Literal::zeros(f32, {7}));
  device.inject_fault(TRM_FAULT_LOST, runtime::reserve_tags(std::make_shared<runtime::StepTexts>(1)) + 1);
  EXPECT_THROW(plan->run({&input, 1})[0]->read(), Error);
  try {
    on_chip(fresh);
    ADD_FAILURE() << "a lost device answered";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kDeviceFault) << error.what();
  }
  device.reset();
  EXPECT_NO_THROW(on_chip(fresh));
}

// A compiled function goes on after its variables were given values again; constants are there again by themselves.
TEST(Reset, CompiledFunctionsGoOn) {
  for (const char* more : {"", ", 'withhold': ['reset']"}) {
    SCOPED_TRACE(more);
    Device& device = faulty(*more != '\0' ? "compiled-reopened" : "compiled-reset", more);
    set_device(device.name());
    set_fallback(Fallback::kAllow);
    Tensor w = tensor({1, 2});
    auto step = compile([&](const Tensor& x) {
      w.assign(w + x * 2);
      return sum(w);
    });
    EXPECT_DOUBLE_EQ(step(tensor({1, 1})).item(), 1 + 2 + 2 * 2);
    device.reset();
    EXPECT_THROW(step(tensor({1, 1})), Error);
    w.assign(tensor({3, 4}));
    EXPECT_DOUBLE_EQ(step(tensor({1, 1})).item(), 3 + 4 + 2 * 2);
    EXPECT_DOUBLE_EQ(step(tensor({1, 1})).item(), 3 + 4 + 2 * 4);
    set_device("cpu");
  }
}

}  // namespace
}  // namespace trireme::testing
