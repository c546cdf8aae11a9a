// Every op of the registry on every chip of this program, through the C ABI alone: a program of one node is asked for,
// prepared and run on memory of the chip, and the result compared with the reference within the measured bound.
//
// Inputs lie dense, then in every other layout of trireme/certify/layout.h that the chip takes. An op that a chip
// refuses must be taken by its decomposition, on the chips that promise everything. The table of cases per op, element
// type and chip goes to op_chip_cases.csv in the build folder.
//
// ctest: timeout=900
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <set>

#include "op_case.h"
#include "trireme/base/strings.h"
#include "trireme/certify/judge.h"
#include "trireme/certify/open_chip.h"
#include "trireme/chip/chip.hpp"
#include "trireme/chip/loader.h"
#include "trireme/reference/accuracy.h"
#include "trireme/reference/evaluator.h"
#include "trireme/runtime/host.h"
#include "trireme/runtime/program.h"

namespace trireme::testing {
namespace {

using certify::all_layouts, certify::is_host_work, certify::Layout, certify::OpenChip, certify::program_of;

// Chips that compute every op in some form; others may refuse what they like.
const std::set<std::string_view> kComplete = {"cpu", "reference"};

// The devices of all chips, opened once.
std::vector<std::unique_ptr<OpenChip>>& devices() {
  static std::vector<std::unique_ptr<OpenChip>> opened = [] {
    std::vector<std::unique_ptr<OpenChip>> out;
    for (const auto& one : chip::all_chips(runtime::host_services()).chips) {
      if (one->compute() != nullptr && one->device_count() > 0) out.push_back(std::make_unique<OpenChip>(*one));
    }
    return out;
  }();
  return opened;
}

struct Count {
  int cases = 0, strided = 0, failed = 0, by_parts = 0, converted = 0, refused = 0;
};
struct Row {
  std::string chip, op;
  DType dtype;
  bool operator<(const Row& o) const { return std::tie(chip, op, dtype) < std::tie(o.chip, o.op, o.dtype); }
};
std::map<Row, Count>& counts() {
  static std::map<Row, Count> table;
  return table;
}

// Prints the totals and writes the table when all tests have run.
class Report : public ::testing::Environment {
 public:
  void TearDown() override {
    std::ofstream csv(std::string(TRIREME_BINARY_DIR) + "/op_chip_cases.csv");
    csv << "chip,op,dtype,cases,strided,failed,by_parts,converted,refused\n";
    std::map<std::string, Count> totals;
    std::map<std::string, std::set<std::string>> ops, refused;
    for (const auto& [row, count] : counts()) {
      csv << row.chip << ',' << row.op << ',' << name(row.dtype) << ',' << count.cases << ',' << count.strided << ','
          << count.failed << ',' << count.by_parts << ',' << count.converted << ',' << count.refused << '\n';
      Count& sum = totals[row.chip];
      sum.cases += count.cases;
      sum.strided += count.strided;
      sum.failed += count.failed;
      sum.by_parts += count.by_parts;
      sum.converted += count.converted;
      sum.refused += count.refused;
      if (count.cases > 0) ops[row.chip].insert(row.op);
      if (count.refused > 0) refused[row.chip].insert(row.op);
    }
    for (const auto& [chip, sum] : totals) {
      std::cout << chip << ": " << sum.cases << " cases of " << ops[chip].size() << " ops run whole, " << sum.strided
                << " of strided or broadcast inputs, " << sum.failed << " failures; " << sum.by_parts
                << " taken by their parts, " << sum.converted << " after conversion, " << sum.refused << " refused";
      for (const std::string& op : refused[chip]) std::cout << ' ' << op;
      std::cout << '\n';
    }
  }
};
[[maybe_unused]] const auto* const report = ::testing::AddGlobalTestEnvironment(new Report);

// True when the chip takes every part of the decomposition, by their parts in turn if need be. `missing` names one that
// it does not take.
bool takes_parts(OpenChip& device, const Node& node, std::string* missing) {
  if (node.op().meaning.decompose == nullptr) {
    *missing = node.op().id();
    return false;
  }
  std::set<const Node*> seen;
  for (const Value& v : node.inputs()) {
    if (v) seen.insert(&v.node());
  }
  std::vector<Value> kept = decomposition_of(node);
  for (size_t at = 0; at < kept.size(); ++at) {
    const Value value = kept[at];
    const Node& part = value.node();
    if (!seen.insert(&part).second) continue;
    for (const Value& v : part.inputs()) {
      if (v) kept.push_back(v);
    }
    if (is_host_work(part.op())) continue;
    std::vector<Value> parameters, operands;
    for (const Value& v : part.inputs()) {
      operands.push_back(v ? parameter(v.dtype(), v.shape()) : v);
      if (v) parameters.push_back(operands.back());
    }
    const Value alone = make_node(part.op(), operands, part.attributes());
    if (device.query(runtime::make_program(Graph(parameters, all_outputs(alone)))).verdict != TRM_NO) continue;
    if (!takes_parts(device, alone.node(), missing)) return false;
  }
  return true;
}

class OpChip : public ::testing::TestWithParam<const OpDecl*> {
 protected:
  const OpDecl& op() const { return *GetParam(); }

  void compare(const reference::Expectation& expectation, const std::vector<Literal>& got, Count& count) {
    for (size_t i = 0; i < got.size(); ++i) {
      const auto deviation = reference::compare(expectation.values[i], expectation.bounds[i], got[i]);
      if (!deviation) continue;
      ++count.failed;
      ADD_FAILURE() << "output " << i << ": " << deviation->text(got[i].elements());
    }
  }

  void run_case(const OpCase& given) {
    const Instance instance = instantiate(given);
    const Graph graph = instance.graph();
    std::map<std::pair<std::string_view, uint32_t>, reference::Expectation> expected;  // by layout and arithmetic
    for (const auto& [kind, lay_out] : all_layouts()) {
      std::vector<Layout> inputs;
      std::vector<Evaluated> values;
      bool differs = kind == "dense";
      for (const Literal& literal : instance.inputs) {
        inputs.push_back(lay_out(literal));
        values.push_back(reference::to_evaluated(inputs.back().values));
        differs = differs || !is_dense(literal.shape(), inputs.back().strides);
      }
      if (!differs) continue;
      const runtime::ProgramRef program = program_of(graph, inputs);
      for (auto& device : devices()) {
        SCOPED_TRACE(cat("on ", device->name(), ", inputs ", kind));
        Count& count = counts()[{device->name(), std::string(op().id()), given.dtype}];
        try {
          const TrmAnswer answer = device->query(program);
          if (answer.verdict == TRM_NATIVE_AFTER_CONVERSION) {
            ++count.converted;
            continue;
          }
          if (answer.verdict == TRM_NO) {
            if (kind == "dense") refuse(*device, graph, answer, count);
            continue;
          }
          const std::pair key(kind, answer.fixed_point_bits);
          if (!expected.contains(key)) expected[key] = reference::expect(graph, values, 4, key.second);
          ++(kind == "dense" ? count.cases : count.strided);
          compare(expected[key], device->run(program, answer, inputs, graph.outputs()), count);
        } catch (const std::exception& failure) {
          ++count.failed;
          ADD_FAILURE() << failure.what();
        }
      }
    }
  }

  void refuse(OpenChip& device, const Graph& graph, const TrmAnswer& answer, Count& count) {
    std::string missing;
    if (takes_parts(device, graph.outputs()[0].node(), &missing)) {
      ++count.by_parts;
      return;
    }
    ++count.refused;
    EXPECT_FALSE(kComplete.contains(device.name())) << "refused (" << answer.text << "), and there is no " << missing;
  }
};

TEST_P(OpChip, AgreesWithTheReference) {
  if (is_host_work(op())) GTEST_SKIP() << "never sent to a chip";
  if (op().cases.texts.empty()) GTEST_SKIP() << "no cases";
  for (const OpCase& given : cases_of(op())) {
    SCOPED_TRACE(given.name());
    run_case(given);
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, OpChip, ::testing::ValuesIn(registered_ops()), OpName());

TEST(OpChipItself, SeesTheChips) { EXPECT_GE(devices().size(), 1u); }

}  // namespace
}  // namespace trireme::testing
