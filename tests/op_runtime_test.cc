// Every op of the registry through the runtime: each generated case becomes a plan that may use the CPU's help, runs on
// the cpu, on the reference and on personas of refchip, and is compared with the reference evaluator within the
// measured bound, which follows the arithmetic that a chip states. What op_chip_test.cc leaves to the host (views,
// assembly, decomposition, fallback, layout and type conversion, transfers) is what this one is about. A device works
// alone where it can.
//
// The cpu and the reference run every case; the personas share them out, so that each persona sees its part of the
// cases of every op. TRIREME_FULL_MATRIX=1 runs every case on every device. The table of cases per op, element type and
// chip goes to op_runtime_cases.csv in the build folder.
// ctest: slow timeout=900
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <set>

#include "op_case.h"
#include "persona.h"
#include "trireme/ir/registry.h"
#include "trireme/reference/accuracy.h"
#include "trireme/reference/evaluator.h"
#include "trireme/runtime/plan.h"

namespace trireme::testing {
namespace {

bool full_matrix() {
  const char* given = std::getenv("TRIREME_FULL_MATRIX");
  return given != nullptr && std::string_view(given) == "1";
}

struct Target {
  std::string name;
  runtime::Device* device;
};

// cpu and reference first, then the personas.
const std::vector<Target>& targets() {
  static const std::vector<Target> all = [] {
    std::vector<Target> out = {{"cpu", &runtime::Device::host()}, {"reference", &runtime::Device::get("reference:0")}};
    out.push_back({"xpu", &runtime::Device::get("xpu:0")});
    for (const std::string& persona : capable_personas()) out.push_back({persona, &persona_device(persona)});
    return out;
  }();
  return all;
}
constexpr size_t kAlways = 2;

struct Count {
  int cases = 0, helped = 0, failed = 0;
};
struct Row {
  std::string chip, op;
  DType dtype;
  auto operator<=>(const Row&) const = default;
};
std::map<Row, Count>& counts() {
  static std::map<Row, Count> table;
  return table;
}

class Report : public ::testing::Environment {
 public:
  void TearDown() override {
    const char* shard = std::getenv("GTEST_SHARD_INDEX");
    std::ofstream csv(cat(TRIREME_BINARY_DIR "/op_runtime_cases", shard != nullptr ? cat(".", shard) : "", ".csv"));
    csv << "chip,op,dtype,cases,with_cpu_help,failed\n";
    std::map<std::string, Count> totals;
    std::map<std::string, std::set<std::string>> ops;
    std::map<std::string, std::set<DType>> dtypes;
    for (const auto& [row, count] : counts()) {
      csv << row.chip << ',' << row.op << ',' << name(row.dtype) << ',' << count.cases << ',' << count.helped << ','
          << count.failed << '\n';
      for (const std::string& of : {row.chip, std::string("all")}) {
        totals[of].cases += count.cases;
        totals[of].helped += count.helped;
        totals[of].failed += count.failed;
        ops[of].insert(row.op);
        dtypes[of].insert(row.dtype);
      }
    }
    for (const auto& [chip, sum] : totals) {
      std::cout << chip << ": " << sum.cases << " cases of " << ops[chip].size() << " ops in " << dtypes[chip].size()
                << " types, " << sum.helped << " with the CPU's help, " << sum.failed << " failures\n";
    }
  }
};
[[maybe_unused]] const auto* const report = ::testing::AddGlobalTestEnvironment(new Report);

// Alone where the device can, so that nothing passes because the CPU was cheaper; else with the CPU's help.
std::shared_ptr<runtime::Plan> plan_on(runtime::Device& device, const Graph& graph) {
  try {
    return runtime::Plan::make(graph, {.target = &device, .fallback = runtime::Fallback::kError});
  } catch (const Error& refused) {
    if (refused.code() != Code::kUnsupported) throw;
    return runtime::Plan::make(graph, {.target = &device, .fallback = runtime::Fallback::kAllow});
  }
}

class OpRuntime : public ::testing::TestWithParam<const OpDecl*> {
 protected:
  void run_on(const Target& target, const OpCase& given, const Graph& graph, const Instance& instance,
              std::map<uint32_t, reference::Expectation>& expectations) {
    SCOPED_TRACE(cat("on ", target.name));
    Count& count = counts()[{target.name, std::string(GetParam()->id()), given.dtype}];
    ++count.cases;
    try {
      const auto plan = plan_on(*target.device, graph);
      const auto& rows = plan->ledger().rows;
      count.helped += std::any_of(rows.begin(), rows.end(), [](const auto& row) { return !row.on_target; });
      const uint32_t bits = plan->ledger().fixed_point_bits;
      if (!expectations.contains(bits)) {
        std::vector<Evaluated> values;
        for (const Literal& literal : instance.inputs) values.push_back(reference::to_evaluated(literal));
        expectations[bits] = reference::expect(graph, values, 4, bits);
      }
      const reference::Expectation& expected = expectations[bits];
      std::vector<runtime::BufferRef> inputs;
      for (const Literal& literal : instance.inputs) inputs.push_back(runtime::Buffer::from(*target.device, literal));
      const auto outputs = plan->run(inputs);
      bool failed = outputs.size() != graph.outputs().size();
      for (size_t i = 0; i < outputs.size(); ++i) {
        const Literal got = outputs[i]->read();
        const TensorType type{got.dtype(), got.shape()}, declared = graph.outputs()[i].type();
        if (type != declared) {
          failed = true;
          ADD_FAILURE() << "output " << i << " is " << type.text() << ", declared " << declared.text();
          continue;
        }
        const auto deviation = reference::compare(expected.values[i], expected.bounds[i], got);
        if (!deviation) continue;
        failed = true;
        ADD_FAILURE() << "output " << i << ": " << deviation->text(got.elements());
      }
      for (size_t i = 0; i < inputs.size(); ++i) {  // nobody donated them
        EXPECT_TRUE(inputs[i]->read().same_bytes(instance.inputs[i])) << "input " << i << " was changed";
      }
      count.failed += failed;
    } catch (const std::exception& failure) {
      ++count.failed;
      ADD_FAILURE() << failure.what();
    }
  }
};

TEST_P(OpRuntime, AgreesWithTheReference) {
  const OpDecl& op = *GetParam();
  if (op.cases.texts.empty()) GTEST_SKIP() << "no cases";
  size_t number = seed_of(op.id()) % targets().size();
  for (const OpCase& given : cases_of(op)) {
    SCOPED_TRACE(given.name());
    const Instance instance = instantiate(given);
    const Graph graph = instance.graph();
    std::map<uint32_t, reference::Expectation> expectations;  // by the fixed point of a plan's products
    const size_t chosen = kAlways + number++ % (targets().size() - kAlways);
    for (size_t t = 0; t < targets().size(); ++t) {
      if (t < kAlways || t == chosen || full_matrix()) run_on(targets()[t], given, graph, instance, expectations);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, OpRuntime, ::testing::ValuesIn(registered_ops()), OpName());

}  // namespace
}  // namespace trireme::testing
