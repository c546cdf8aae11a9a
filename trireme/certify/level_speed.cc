// C8: measured, not judged: what a launch, a copy and an op take, and which share of the peak that props tells an op
// reaches. Devices of simulated time are asked for their own clock.
#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "trireme/base/strings.h"
#include "trireme/certify/level.h"
#include "trireme/certify/op_case.h"
#include "trireme/ir/registry.h"

namespace trireme::certify {
namespace {

// Nanoseconds of the clock that counts on this device.
double now_ns(OpenChip& chip) {
  uint64_t device = 0, host = 0;
  if (chip.has_flag(TRM_VIRTUAL_TIME) && chip.bank().clock_sample != nullptr &&
      chip.bank().clock_sample(chip.device(), &device, &host, chip.error()) == TRM_OK) {
    return static_cast<double>(device);
  }
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<double>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

// Nanoseconds of one launch of the program, `times` in a row; negative where the chip does not take it.
double launch_ns(OpenChip& chip, const Graph& graph, int times) {
  const runtime::ProgramRef program = runtime::make_program(graph);
  const TrmAnswer answer = chip.query(program);
  if (answer.verdict != TRM_NATIVE) return -1;
  TrmKernel* kernel = nullptr;
  chip.check(chip.prepare(program, &kernel), "prepare", Verdict::kLie);
  std::vector<TrmMem> operands;
  const auto add = [&](const Value& v) {
    const std::vector<char> zeros(v.type().bytes(), 0);
    operands.push_back(chip.allocate(zeros.size()));
    chip.write(operands.back(), zeros.data(), zeros.size());
  };
  for (const Value& v : graph.inputs()) add(v);
  for (const Value& v : graph.outputs()) add(v);
  const TrmMem workspace = answer.workspace_bytes > 0 ? chip.allocate(answer.workspace_bytes) : TrmMem{};
  const auto launch = [&] {
    chip.check(chip.compute().enqueue(chip.device(), kernel, operands.data(), static_cast<uint32_t>(operands.size()),
                                      workspace.handle != 0 ? &workspace : nullptr, nullptr, OpenChip::next_tag(),
                                      chip.error()),
               "enqueue", Verdict::kLie);
  };
  launch();
  chip.sync();
  const double begin = now_ns(chip);
  for (int k = 0; k < times; ++k) launch();
  chip.sync();
  const double spent = (now_ns(chip) - begin) / times;
  chip.compute().release(chip.device(), kernel);
  for (const TrmMem& mem : operands) chip.free(mem);
  if (workspace.handle != 0) chip.free(workspace);
  return spent;
}

std::string launch_latency(const Subject& subject) {
  const Value x = parameter(f32, {1});
  const double ns = launch_ns(subject.open(), Graph({x}, {make_node(get_op("exp"), {x}, {})}), 200);
  if (ns < 0) throw Finding(Verdict::kUnsupported, "exp is not taken");
  return nlohmann::json{{"ns", ns}}.dump();
}

std::string copy_curve(const Subject& subject) {
  OpenChip& chip = subject.open();
  nlohmann::json out = nlohmann::json::object();
  for (const uint64_t bytes : {uint64_t{64}, uint64_t{4096}, uint64_t{1} << 18, uint64_t{1} << 21}) {
    const std::vector<char> host(bytes, 1);
    const TrmMem mem = chip.allocate(bytes);
    chip.write(mem, host.data(), bytes);
    const double begin = now_ns(chip);
    for (int k = 0; k < 10; ++k) chip.write(mem, host.data(), bytes);
    out[std::to_string(bytes)] = (now_ns(chip) - begin) / 10;
    chip.free(mem);
  }
  return nlohmann::json{{"ns_by_bytes", out}}.dump();
}

std::string roofline(const Subject& subject) {
  OpenChip& chip = subject.open();
  const TrmProps& p = chip.props();
  nlohmann::json out = nlohmann::json::object();
  for (const auto& [op, text] : {std::pair{"add", "[262144] [262144]"},
                                 {"exp", "[262144]"},
                                 {"strided_copy", "[262144]"},
                                 {"reduce_sum", "[512,512] axes=[1]"},
                                 {"gather", "[4096,64] i32[2048]:0..4095"},
                                 {"dot_general", "[1,192,192] [1,192,192]"},
                                 {"softmax", "[512,256]"},
                                 {"layer_norm", "[512,256] [256] [256]"}}) {
    const Instance instance = instantiate(parse_case(get_op(op), text, f32));
    const Graph graph = instance.graph();
    const double ns = launch_ns(chip, graph, 3);
    if (ns < 0) continue;
    const runtime::Work work = runtime::work_of(graph.outputs()[0].node());
    const double least = 1e9 * std::max(p.flops_f32 > 0 ? work.flops / p.flops_f32 : 0.0,
                                        p.memory_bandwidth > 0 ? work.bytes / p.memory_bandwidth : 0.0);
    out[op] = {{"ns", ns}, {"roofline_share", ns > 0 ? least / ns : 0.0}};
  }
  return out.dump();
}

}  // namespace

std::vector<Case> speed_cases() {
  std::vector<Case> out;
  const auto add = [&](const char* name, std::string (*run)(const Subject&)) {
    out.push_back({Part::kSpeed, Level::kComplete, name, "", "", false, run, {}});
  };
  add("launch latency", launch_latency);
  add("copy curve", copy_curve);
  add("roofline", roofline);
  return out;
}

}  // namespace trireme::certify
