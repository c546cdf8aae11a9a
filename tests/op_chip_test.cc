// Every op of the registry on every chip of this program, through the C ABI alone: a program of one node is asked for,
// prepared and run on memory of the chip, and the result compared with the reference within the measured bound.
//
// Inputs lie dense, then column-major, then broadcast along their first axis (stride 0) where the chip takes that. An
// op that a chip refuses must be taken by its decomposition, on the chips that promise everything.
// The table of cases per op, element type and chip goes to op_chip_cases.csv in the build folder.
// ctest: timeout=900
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <set>

#include "op_case.h"
#include "trireme/base/strings.h"
#include "trireme/chip/chip.hpp"
#include "trireme/chip/loader.h"
#include "trireme/reference/accuracy.h"
#include "trireme/reference/evaluator.h"
#include "trireme/runtime/host.h"
#include "trireme/runtime/program.h"

namespace trireme::testing {
namespace {

// Chips that compute every op in some form; others may refuse what they like.
const std::set<std::string_view> kComplete = {"cpu", "reference"};

class Device {
 public:
  explicit Device(const chip::Chip& chip) : chip_(chip) {
    TrmProps props = chip::sized<TrmProps>();
    check(chip.device().props(0, &props, error()), "props");
    space_ = props.spaces[0].id;
    check(chip.device().open(0, nullptr, 0, &dev_, error()), "open");
  }
  ~Device() { chip_.device().close(dev_); }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const std::string& name() const { return chip_.name(); }

  TrmMem allocate(uint64_t bytes) {
    TrmMem mem{};
    check(chip_.device().chunk_alloc(dev_, space_, std::max<uint64_t>(bytes, 64), 0, &mem, error()), "chunk_alloc");
    return mem;
  }
  void free(const TrmMem& mem) { chip_.device().chunk_free(dev_, &mem); }

  void copy(const TrmMem& device, void* host, uint64_t bytes, bool to_device) {
    if (bytes == 0) return;
    TrmCopy copy = chip::sized<TrmCopy>();
    const TrmMem there{reinterpret_cast<uintptr_t>(host), 0, bytes, TRM_HOST_SPACE, 0};
    copy.dst = to_device ? device : there;
    copy.src = to_device ? there : device;
    copy.bytes = bytes;
    check(chip_.device().copy(dev_, &copy, nullptr, next_tag_++, error()), "copy");
  }

  TrmAnswer query(const runtime::ProgramRef& program) {
    TrmAnswer answer = chip::sized<TrmAnswer>();
    std::fill(std::begin(answer.in_place), std::end(answer.in_place), -1);
    check(chip_.compute()->query(dev_, program.get(), &answer, error()), "query");
    return answer;
  }

  void run(const runtime::ProgramRef& program, const std::vector<TrmMem>& operands, uint64_t workspace_bytes) {
    TrmKernel* kernel = nullptr;
    check(chip_.compute()->prepare(dev_, program.get(), &kernel, error()), "prepare");
    const TrmMem workspace = allocate(workspace_bytes);
    const int32_t code =
        chip_.compute()->enqueue(dev_, kernel, operands.data(), static_cast<uint32_t>(operands.size()),
                                 workspace_bytes > 0 ? &workspace : nullptr, nullptr, next_tag_++, error());
    const int32_t done = code == TRM_OK ? chip_.device().sync(dev_, error()) : code;
    chip_.compute()->release(dev_, kernel);
    free(workspace);
    check(done, "enqueue or sync");
  }
  void sync() { check(chip_.device().sync(dev_, error()), "sync"); }

 private:
  TrmErr* error() {
    error_ = chip::sized<TrmErr>();
    return &error_;
  }
  void check(int32_t code, const char* what) const {
    if (code != TRM_OK) throw std::runtime_error(cat(chip_.name(), ", ", what, ": code ", code, ", ", error_.text));
  }

  const chip::Chip& chip_;
  TrmDev* dev_ = nullptr;
  uint32_t space_ = 1;
  uint64_t next_tag_ = 1;
  TrmErr error_{};
};

// The devices of all chips, opened once.
std::vector<std::unique_ptr<Device>>& devices() {
  static std::vector<std::unique_ptr<Device>> opened = [] {
    std::vector<std::unique_ptr<Device>> out;
    for (const auto& one : chip::all_chips(runtime::host_services()).chips) {
      if (one->compute() != nullptr && one->device_count() > 0) out.push_back(std::make_unique<Device>(*one));
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

// One input with the memory it lies in.
struct Layout {
  Literal values;  // what the op sees, dense
  Strides strides{};
  std::vector<char> memory;
};

Layout dense(const Literal& values) {
  Layout out{values, dense_strides(values.shape()), std::vector<char>(values.bytes())};
  if (values.bytes() > 0) std::memcpy(out.memory.data(), values.data(), values.bytes());
  return out;
}

// First axis innermost.
Layout column_major(const Literal& values) {
  Layout out{values, {}, std::vector<char>(values.bytes())};
  const Shape& shape = values.shape();
  int64_t step = 1;
  for (int a = 0; a < shape.rank(); ++a) {
    out.strides[static_cast<size_t>(a)] = step;
    step *= shape[a];
  }
  const size_t item = size_of(values.dtype());
  const Strides from = dense_strides(shape);
  for (int64_t i = 0; i < shape.elements(); ++i) {
    int64_t to = 0;
    for (int a = 0; a < shape.rank(); ++a) {
      to += i / from[static_cast<size_t>(a)] % shape[a] * out.strides[static_cast<size_t>(a)];
    }
    std::memcpy(out.memory.data() + static_cast<size_t>(to) * item,
                static_cast<const char*>(values.data()) + static_cast<size_t>(i) * item, item);
  }
  return out;
}

// The first slice along axis 0 for all of the axis.
Layout broadcast(const Literal& values) {
  Layout out = dense(values);
  const Shape& shape = values.shape();
  if (shape.rank() == 0 || shape.elements() == 0) return out;
  const size_t slice = values.bytes() / static_cast<size_t>(shape[0]);
  out.memory.resize(slice);
  out.strides[0] = 0;
  Literal repeated = Literal::zeros(values.dtype(), shape);
  for (int64_t i = 0; i < shape[0]; ++i) {
    std::memcpy(static_cast<char*>(repeated.mutable_data()) + static_cast<size_t>(i) * slice, values.data(), slice);
  }
  out.values = repeated;
  return out;
}

std::vector<Literal> run_on(Device& device, const runtime::ProgramRef& program, const TrmAnswer& answer,
                            std::vector<Layout>& inputs, const Graph& graph) {
  std::vector<TrmMem> operands;
  for (Layout& input : inputs) {
    operands.push_back(device.allocate(input.memory.size()));
    device.copy(operands.back(), input.memory.data(), input.memory.size(), true);
  }
  for (const Value& y : graph.outputs()) {
    operands.push_back(device.allocate(y.type().bytes()));
    std::vector<char> noise(y.type().bytes(), 0x5a);  // an element that is never written shows
    device.copy(operands.back(), noise.data(), noise.size(), true);
    device.sync();
  }
  const auto release = [&] {
    for (const TrmMem& mem : operands) device.free(mem);
  };
  std::vector<Literal> out;
  try {
    device.sync();
    device.run(program, operands, answer.workspace_bytes);
    for (size_t i = 0; i < graph.outputs().size(); ++i) {
      const TensorType& type = graph.outputs()[i].type();
      Literal literal = Literal::zeros(type.dtype, type.shape);
      device.copy(operands[inputs.size() + i], literal.mutable_data(), literal.bytes(), false);
      device.sync();
      out.push_back(std::move(literal));
    }
  } catch (...) {
    release();
    throw;
  }
  release();
  return out;
}

runtime::ProgramRef program_of(const Graph& graph, const std::vector<Layout>& inputs) {
  std::vector<Strides> strides;
  for (const Layout& input : inputs) strides.push_back(input.strides);
  return runtime::make_program(graph, strides);
}

// Views, constants and control flow are the host's work.
bool is_host_work(const OpDecl& op) {
  return op.kind.value == Kind::kView || op.kind.value == Kind::kControl || op.tier.value == Tier::kHost;
}

// True when the chip takes every part of the decomposition, by their parts in turn if need be. `missing` names one that
// it does not take.
bool takes_parts(Device& device, const Node& node, std::string* missing) {
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
    std::map<std::string, Layout (*)(const Literal&)> layouts = {
        {"dense", dense}, {"column-major", column_major}, {"broadcast", broadcast}};
    std::map<std::pair<std::string, uint32_t>, reference::Expectation> expected;  // by layout and arithmetic
    for (const auto& [kind, lay_out] : layouts) {
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
          compare(expected[key], run_on(*device, program, answer, inputs, graph), count);
        } catch (const std::exception& failure) {
          ++count.failed;
          ADD_FAILURE() << failure.what();
        }
      }
    }
  }

  void refuse(Device& device, const Graph& graph, const TrmAnswer& answer, Count& count) {
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
