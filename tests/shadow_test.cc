// The shadow check finds a chip whose kernel is silently wrong: one that computes sin where it is asked for tanh.
#include "trireme/runtime/shadow.h"

#include <gtest/gtest.h>

#include <cmath>

#include "persona.h"
#include "trireme/base/error.h"
#include "trireme/chip/chip.hpp"
#include "trireme/ir/registry.h"
#include "trireme/runtime/plan.h"

namespace trireme::testing {
namespace {

using runtime::Buffer;
using runtime::Device;
using runtime::Plan;

// refchip, but for its prepare.
TrmComputeBank wrong_bank;
decltype(TrmComputeBank::prepare) right_prepare = nullptr;
std::string wrong_op = "tanh";

int32_t prepare_wrong(TrmDev* dev, const TrmProgram* program, TrmKernel** kernel, TrmErr* err) {
  const chip::Program view(&runtime::program_reader(), program);
  if (view.node_count() != 1 || view.node(0).op() != wrong_op) return right_prepare(dev, program, kernel, err);
  const TrmValue x = view.operand(0), y = view.operand(1);
  const Value input = parameter(static_cast<DType>(x.dtype), Shape(Ints(x.dims, x.dims + x.rank)));
  Strides in{}, out{};
  std::copy_n(x.strides, x.rank, in.begin());
  std::copy_n(y.strides, y.rank, out.begin());
  const Graph wrong({input}, {make_node(get_op("sin"), {input}, {})});
  return right_prepare(dev, runtime::make_program(wrong, {&in, 1}, {&out, 1}).get(), kernel, err);
}

using Entry = int32_t (*)(const char*, const TrmHost*, TrmChip*);
Entry persona_entry = nullptr;

Device& wrong_device() {
  persona_entry = reinterpret_cast<Entry>(
      const_cast<void*>(chip::all_chips(runtime::host_services()).get("refchip").extension("refchip.entry", 1)));
  static const chip::Chip& chip = chip::add_chip(
      [](const TrmHost* host, TrmChip* chip) {
        const std::string file =
            write_persona("wrong-kernel", "{'name': 'wrong-kernel', 'compute': {'nodes': {'max': 1}}}");
        const int32_t code = persona_entry(file.c_str(), host, chip);
        if (code != TRM_OK) return code;
        wrong_bank = *chip->compute;
        right_prepare = std::exchange(wrong_bank.prepare, prepare_wrong);
        chip->compute = &wrong_bank;
        return code;
      },
      runtime::host_services());
  return Device::get(chip.name());
}

struct Shadowed {
  explicit Shadowed(uint64_t every) { runtime::set_shadow(every); }
  ~Shadowed() { runtime::set_shadow(0); }
};

Value node(const char* op, const std::vector<Value>& inputs) { return make_node(get_op(op), inputs, {}); }

// exp(x^T), then tanh of it, whose line the test knows.
Graph job(int* line) {
  const Value x = parameter(f32, {4, 3});
  const Value turned = make_node(get_op("transpose"), {x}, {Ints{1, 0}});
  const SourceScope scope("model.cc", 17);
  *line = 17;
  return {{x}, {node("tanh", {node("exp", {turned})})}};
}

Literal run_on(Device& device) {
  int line = 0;
  const Graph graph = job(&line);
  const auto plan = Plan::make(graph, {.target = &device, .fallback = runtime::Fallback::kError});
  std::vector<double> values;
  for (int i = 0; i < 12; ++i) values.push_back(std::cos(i));
  const runtime::BufferRef input = Buffer::from(device, Literal::from_doubles(f32, {4, 3}, values));
  return plan->run({&input, 1})[0]->read();
}

TEST(Shadow, FindsAWrongKernelAndNamesIt) {
  Device& device = wrong_device();
  EXPECT_NO_THROW(run_on(device)) << "nobody looks";
  const Shadowed on(1);
  try {
    run_on(device);
    ADD_FAILURE() << "the wrong kernel went unnoticed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kDeviceFault);
    for (const char* part : {"shadow check", "tanh f32[3, 4] (model.cc:17)", "tag ", "element ", "of 12 elements"}) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  }
}

// Two launches a run: every second check falls on the same one of them.
TEST(Shadow, EveryNthLaunchIsChecked) {
  Device& device = wrong_device();
  const Shadowed on(3);
  int found = 0;
  for (int i = 0; i < 6; ++i) {
    try {
      run_on(device);
    } catch (const Error&) {
      ++found;
    }
  }
  EXPECT_EQ(found, 2) << "four checks on twelve launches, half of them of the wrong kernel";
}

TEST(Shadow, RightChipsPass) {
  const Shadowed on(1);
  for (Device* device : {&Device::host(), &persona_device("full"), &persona_device("handle-only"),
                         &persona_device("no-strided-copy"), &persona_device("whole-memory")}) {
    EXPECT_NO_THROW(run_on(*device)) << device->name();
  }
}

}  // namespace
}  // namespace trireme::testing
