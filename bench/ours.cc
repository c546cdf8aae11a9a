// Our side of a comparison with other frameworks (bench/compare.py): one workload, timed on demand.
//
//   ours export NAME FOLDER         a network of bench/networks/ as FOLDER/model.onnx, its parameters as
//                                   FOLDER/state/<name>.npy
//   ours model FILE.onnx FOLDER P   a model on FOLDER/input_<i>.npy; P is f32 (as it is), bf16, int8 (static ranges,
//                                   calibrated on these inputs) or int8-dynamic; the latter two with "-reduced" behind
//                                   have weights of 7 bits
//   ours train NAME FOLDER P        a step of bench/training.h on FOLDER/input_0.npy and the targets input_1.npy; its
//                                   initial parameters go to FOLDER/state/<name>.npy; P is f32 or bf16
//   ours op NAME FOLDER             an operation of bench/operations.h on FOLDER/input_<i>.npy
//
// The workload runs until it is warm; then "ready" is printed and each line of standard input answered by one line:
//   run N    N iterations: the nanoseconds of each
//   save     FOLDER/output_<i>.npy written: a model's outputs, or the losses of the first steps; "saved"
//   probe    bytes per second out of the first-level cache, which tell the state of the machine
//   limit    seconds that an iteration takes at least, by the arithmetic and the bytes (weights, inputs, outputs) that
//            cannot be avoided, at the speeds measured now; then those speeds: operations and bytes per second
//   memory   bytes of the plan's values between kernels, and how many of them are needed at once: no plan needs less
#include <cstdio>
#include <functional>
#include <iostream>
#include <set>
#include <string>

#include "bench/networks/networks.h"
#include "bench/operations.h"
#include "bench/roofline.h"
#include "bench/training.h"
#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/formats/npy.h"
#include "trireme/formats/onnx/exporter.h"
#include "trireme/formats/onnx/model.h"
#include "trireme/formats/session.h"
#include "trireme/ir/op_decl.h"
#include "trireme/passes/autocast.h"
#include "trireme/runtime/plan.h"
#include "trireme/runtime/program.h"
#include "trireme/runtime/trace.h"
#include "trireme/train/quantize.h"

namespace trireme::bench {
namespace {

constexpr int kWarmUp = 8;                     // iterations; also the number of losses that are compared
constexpr uint64_t kWarmUpNs = 1'000'000'000;  // a model is warm after so long, too

struct Workload {
  std::function<void()> iterate;
  std::function<std::vector<Literal>()> outputs;
  std::function<const Graph&()> graph;
  int least = 2;  // iterations before it is warm
};

std::vector<Literal> inputs_of(const std::string& folder) {
  std::vector<Literal> inputs;
  while (file_exists(cat(folder, "/input_", inputs.size(), ".npy"))) {
    inputs.push_back(formats::read_npy(cat(folder, "/input_", inputs.size(), ".npy")));
  }
  return inputs;
}

Graph in_precision(const Graph& graph, const std::string& precision, const train::Sample& sample) {
  if (precision == "bf16") return passes::autocast(graph, bf16);
  const bool reduced = precision.ends_with("-reduced");
  const std::string bits = precision.substr(0, precision.size() - (reduced ? 8 : 0));
  if (bits == "int8") return train::quantize(graph, {sample}, {.reduce_range = reduced});
  if (bits == "int8-dynamic") return train::quantize(graph, {sample}, {.method = {}, .reduce_range = reduced});
  throw Error(Code::kInvalidArgument, cat("'", precision, "' is no precision: see the top of bench/ours.cc"));
}

Workload model(const std::string& file, const std::string& folder, const std::string& precision) {
  const auto session = std::make_shared<formats::Session>(formats::onnx::Model::load(file));
  const std::vector<Literal> given = inputs_of(folder);
  std::map<std::string, formats::HostValue> inputs;
  for (const formats::Declared& declared : session->model().inputs()) {
    if (!declared.optional) inputs[declared.name] = formats::HostValue(given.at(inputs.size()));
  }
  const auto results = std::make_shared<std::vector<formats::HostValue>>(session->run(inputs));
  const auto outputs = [=] {
    std::vector<Literal> list;
    for (const formats::HostValue& each : *results) list.push_back(each.tensor);
    return list;
  };
  if (precision == "f32") {
    return {[=] { *results = session->run(inputs); }, outputs,
            [=]() -> const Graph& { return session->imported().graph; }};
  }
  const Graph graph = in_precision(session->imported().graph, precision, given);
  const auto function =
      std::make_shared<Compiled>([graph](const std::vector<Tensor>& list) { return trireme::run(graph, list); });
  const auto iterate = [=] {
    std::vector<Tensor> arguments;
    for (const Literal& each : given) arguments.emplace_back(each);
    size_t i = 0;
    for (const Tensor& each : (*function)(arguments)) (*results)[i++].tensor = each.literal();
  };
  return {iterate, outputs, [=]() -> const Graph& { return function->graph(); }};
}

Workload single(const std::string& name, const std::string& folder) {
  const auto operation = std::make_shared<Operation>(bench::operation(name, inputs_of(folder)));
  const auto first = std::make_shared<std::vector<Literal>>(operation->run());
  return {operation->iterate, [=] { return *first; }, operation->graph};
}

void write_state(const std::vector<nn::NamedTensor>& state, const std::string& folder) {
  make_folders(folder + "/state");
  for (const nn::NamedTensor& each : state) {
    formats::write_npy(cat(folder, "/state/", each.name, ".npy"), each.tensor.literal());
  }
}

void export_network(const std::string& name, const std::string& folder) {
  const Network network = bench::network(name);
  formats::onnx::save_onnx(network.graph, folder + "/model.onnx");
  write_state(network.state, folder);
}

Workload training(const std::string& name, const std::string& folder, const std::string& precision) {
  if (precision != "f32" && precision != "bf16") {
    throw Error(Code::kInvalidArgument, cat("no training in '", precision, "'; there are f32 and bf16"));
  }
  const TrainingStep step = training_step(name, precision == "bf16" ? bf16 : f32);
  write_state(step.state, folder);
  const Literal x = formats::read_npy(folder + "/input_0.npy"), y = formats::read_npy(folder + "/input_1.npy");
  const auto losses = std::make_shared<std::vector<double>>();
  return {[=, step = step.step] {
            const double loss = step(x, y);
            if (losses->size() < kWarmUp) losses->push_back(loss);
          },
          [=] { return std::vector<Literal>{Literal::from_doubles(f32, {kWarmUp}, *losses)}; }, step.graph, kWarmUp};
}

void print_limit(const Graph& graph) {
  double flops = 0.0, bytes = 0.0;
  for (const Node* node : graph.nodes()) {
    flops += runtime::work_of(*node).flops;
    if (node->op().name.value == "constant") bytes += static_cast<double>(node->outputs()[0].bytes());
  }
  for (const auto* list : {&graph.inputs(), &graph.outputs()}) {
    for (const Value& each : *list) bytes += static_cast<double>(each.type().bytes());
  }
  const double peak = peak_flops(), bandwidth = read_bandwidth(static_cast<uint64_t>(bytes));
  std::printf("%g %g %g\n", std::max(flops / peak, bytes / bandwidth), peak, bandwidth);
}

void print_memory(const Graph& graph) {
  const auto plan = runtime::Plan::make(graph, {.target = &runtime::Device::get(current_device())});
  const runtime::Ledger& ledger = plan->ledger();
  std::printf("%llu %llu\n", static_cast<unsigned long long>(ledger.arena_bytes),
              static_cast<unsigned long long>(ledger.live_bytes));
}

void obey(const Workload& workload, const std::string& folder) {
  const uint64_t start = runtime::now_ns();
  for (int i = 0; i < kWarmUp && (i < workload.least || runtime::now_ns() - start < kWarmUpNs); ++i) workload.iterate();
  std::printf("ready\n");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line); std::fflush(stdout)) {
    int count = 0;
    if (std::sscanf(line.c_str(), "run %d", &count) == 1) {
      for (int i = 0; i < count; ++i) {
        const uint64_t begin = runtime::now_ns();
        workload.iterate();
        std::printf("%llu ", static_cast<unsigned long long>(runtime::now_ns() - begin));
      }
      std::printf("\n");
    } else if (line == "save") {
      const std::vector<Literal> outputs = workload.outputs();
      for (size_t i = 0; i < outputs.size(); ++i) formats::write_npy(cat(folder, "/output_", i, ".npy"), outputs[i]);
      std::printf("saved\n");
    } else if (line == "probe") {
      std::printf("%g\n", cache_probe());
    } else if (line == "limit") {
      print_limit(workload.graph());
    } else if (line == "memory") {
      print_memory(workload.graph());
    } else {
      throw Error(Code::kInvalidArgument, cat("'", line, "' is no order; there are run N, save, probe, limit, memory"));
    }
  }
}

int run(const std::vector<std::string>& words) {
  if (words.size() < 3) throw Error(Code::kInvalidArgument, "ours takes more words: see the top of bench/ours.cc");
  set_device("cpu");
  if (words[0] == "export") export_network(words[1], words[2]);
  else if (words[0] == "model") obey(model(words[1], words[2], words.at(3)), words[2]);
  else if (words[0] == "train") obey(training(words[1], words[2], words.at(3)), words[2]);
  else if (words[0] == "op") obey(single(words[1], words[2]), words[2]);
  else
    throw Error(Code::kInvalidArgument, cat("'", words[0], "' is no command; there are export, model, op and train"));
  return 0;
}

}  // namespace
}  // namespace trireme::bench

int main(int argc, char** argv) {
  try {
    return trireme::bench::run({argv + 1, argv + argc});
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "ours: %s\n", failure.what());
    return 2;
  }
}
