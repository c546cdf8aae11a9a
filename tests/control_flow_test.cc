// cond and while_loop through plans, on chips with memory of their own: the state stays on the chip.
#include <gtest/gtest.h>

#include "trireme/ops/ops.h"
#include "trireme/ops/value.h"
#include "trireme/runtime/plan_cache.h"

namespace trireme::runtime {
namespace {

std::vector<BufferRef> upload(Device& device, const std::vector<Literal>& literals) {
  std::vector<BufferRef> out;
  for (const Literal& each : literals) out.push_back(Buffer::from(device, each));
  return out;
}

class ControlFlow : public ::testing::TestWithParam<const char*> {
 protected:
  Device& device_ = Device::get(GetParam());
  std::shared_ptr<Plan> plan(const Graph& graph) {
    PlanOptions options;
    options.target = &device_;
    options.fallback = Fallback::kError;
    return plan_for(graph, options);
  }
};

TEST_P(ControlFlow, LoopSwapsItsState) {
  // Fibonacci: (a, b, n) -> (b, a + b, n - 1). The state trades places, so nothing may be updated in place too early.
  const auto state = [] { return std::vector<Value>{parameter(f32, {3}), parameter(f32, {3}), parameter(i32, {})}; };
  const auto c = state(), b = state(), start = state();
  const Graph condition(c, {ops::compare(c[2], ops::scalar(i32, 0), "gt")});
  const Graph body(b, {b[1], b[0] + b[1], b[2] - 1.0});
  const Values out = ops::while_loop(start, condition, body);
  const Graph graph(start, {out[0] * 1.0, out[1], out[2]});
  const auto made = plan(graph);
  for (const auto& [rounds, expected] : {std::pair(0, 0.0), {1, 1.0}, {2, 1.0}, {10, 55.0}, {30, 832040.0}}) {
    const auto inputs = upload(
        device_, {Literal::filled(f32, {3}, 0.0), Literal::filled(f32, {3}, 1.0), Literal::filled(i32, {}, rounds)});
    const auto results = made->run(inputs);
    for (double each : results[0]->read().to_doubles()) EXPECT_EQ(each, expected) << rounds << " rounds";
    EXPECT_EQ(results[2]->read().at(0), 0.0);
    EXPECT_EQ(inputs[0]->read().at(0), 0.0) << "the inputs of the plan are not its state";
  }
  for (const LedgerRow& row : made->ledger().rows) EXPECT_TRUE(row.on_target) << row.op << ": " << row.reason;
  EXPECT_EQ(made->ledger().copy_ns, 0.0);
}

TEST_P(ControlFlow, CondTakesOneSide) {
  const Value s = parameter(f32, {2}), s2 = parameter(f32, {2});
  const Graph twice({s}, {s + s}), square({s2}, {ops::mul(s2, s2)});
  const Value p = parameter(boolean, {}), x = parameter(f32, {2});
  const auto made = plan(Graph({p, x}, {ops::cond(p, {x}, twice, square)}));
  for (const bool taken : {true, false}) {
    const auto inputs = upload(device_, {Literal::filled(boolean, {}, taken), Literal::filled(f32, {2}, 3.0)});
    EXPECT_EQ(made->run(inputs)[0]->read().at(1), taken ? 6.0 : 9.0);
  }
}

INSTANTIATE_TEST_SUITE_P(Chips, ControlFlow, ::testing::Values("cpu:0", "reference:0", "refchip:0"),
                         [](const auto& info) {
                           const std::string name = info.param;
                           return name.substr(0, name.find(':'));
                         });

}  // namespace
}  // namespace trireme::runtime
