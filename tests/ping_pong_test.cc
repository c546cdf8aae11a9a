// A chain of which the chip lacks every second op, end to end: the plan costs what the cheapest of all placements
// costs, and never crosses between chip and CPU more often than that one does.
#include <gtest/gtest.h>

#include <cmath>
#include <iostream>

#include "persona.h"
#include "trireme/ir/registry.h"
#include "trireme/runtime/offer.h"
#include "trireme/runtime/planner.h"

namespace trireme::testing {
namespace {

using runtime::Device;

constexpr int kOps = 12;

Value node(const char* op, const std::vector<Value>& inputs, const std::vector<Attribute>& attributes = {}) {
  return make_node(get_op(op), inputs, attributes);
}

// x -> matmul by w -> sin -> matmul by w -> sin ...; the chip has matmul alone.
Graph chain(int64_t size) {
  const Value x = parameter(f32, {size, size}), w = parameter(f32, {size, size});
  Value y = x;
  for (int i = 0; i < kOps; ++i) y = i % 2 == 0 ? node("matmul", {y, w}) : node("sin", {y});
  return {{x, w}, {y}};
}

struct Best {
  double ns = std::numeric_limits<double>::infinity();
  int crossings = 0;  // the fewest among the cheapest
};

// All 2^12 placements, priced here: each op on its side, and each value copied once per side that lacks it.
Best best_of_all(const Graph& graph, Device& chip) {
  std::vector<double> on_chip, on_host;
  for (const Node* op : graph.nodes()) {
    if (op->is("parameter")) continue;
    const Graph alone = runtime::single(*op);
    const auto price = [&](Device& device) {
      const runtime::Answer answer = runtime::ask(device, alone);
      return answer.verdict == TRM_NO ? std::numeric_limits<double>::infinity() : answer.ns;
    };
    on_chip.push_back(price(chip));
    on_host.push_back(price(Device::host()));
  }
  const double copy = runtime::link_ns(chip, graph.outputs()[0].type().bytes());
  Best best;
  for (unsigned labels = 0; labels < 1u << kOps; ++labels) {
    const auto chip_side = [&](int op) { return op < 0 || ((labels >> op) & 1u) != 0; };  // the inputs are on the chip
    double ns = 0.0;
    int crossings = 0;
    bool w_on_host = false;
    for (int op = 0; op < kOps; ++op) {
      ns += chip_side(op) ? on_chip[static_cast<size_t>(op)] : on_host[static_cast<size_t>(op)];
      crossings += chip_side(op) != chip_side(op - 1);
      w_on_host = w_on_host || (op % 2 == 0 && !chip_side(op));
    }
    crossings += w_on_host;
    ns += crossings * copy;
    if (ns < best.ns * (1 - 1e-12) || (ns <= best.ns * (1 + 1e-12) && crossings < best.crossings)) {
      best = {ns, crossings};
    }
  }
  return best;
}

TEST(PingPong, CrossesNoMoreThanTheOptimum) {
  int fewest = 100, most = 0;
  for (const double latency : {0.0, 2e3, 2e5, 1e7}) {
    const std::string name = cat("every-second-", static_cast<int64_t>(latency));
    Device& chip = persona_device(
        write_persona(name, cat("{'name': '", name,
                                "', 'max_delay_us': 0, 'compute': {'ops': {'only': ['matmul']}}, 'rates': "
                                "{'link_latency_ns': ",
                                static_cast<int64_t>(latency), "}}")));
    for (const int64_t size : {4, 64, 512, 1024}) {
      SCOPED_TRACE(cat("link latency ", latency, " ns, size ", size));
      const Graph graph = chain(size);
      const Best best = best_of_all(graph, chip);
      const runtime::PlanOptions options{.target = &chip, .fallback = runtime::Fallback::kAllow};
      EXPECT_NEAR(runtime::assign(graph, options).total_ns, best.ns, 1e-6 * best.ns);
      const auto plan = runtime::Plan::make(graph, options);
      EXPECT_LE(plan->ledger().copies, best.crossings);
      fewest = std::min(fewest, best.crossings);
      most = std::max(most, best.crossings);
      std::cout << "latency " << latency << " ns, size " << size << ": " << plan->ledger().copies
                << " crossings, optimum " << best.crossings << "; " << plan->ledger().line() << '\n';
      if (size > 4) continue;
      const auto same = [&](Device& device, const runtime::Plan& made) {
        std::vector<runtime::BufferRef> inputs;
        for (const double scale : {0.1, 0.2}) {
          std::vector<double> values;
          for (int i = 0; i < 16; ++i) values.push_back(scale * std::cos(i));
          inputs.push_back(runtime::Buffer::from(device, Literal::from_doubles(f32, {4, 4}, values)));
        }
        return const_cast<runtime::Plan&>(made).run(inputs)[0]->read();
      };
      const auto alone = runtime::Plan::make(graph, {.target = &Device::host(), .fallback = runtime::Fallback::kAllow});
      const Literal got = same(chip, *plan), expected = same(Device::host(), *alone);
      for (int64_t i = 0; i < got.elements(); ++i) EXPECT_NEAR(got.at(i), expected.at(i), 1e-6);
    }
  }
  EXPECT_LE(fewest, 2) << "on a slow link everything goes over once";
  EXPECT_GE(most, kOps - 1) << "on a fast link, and with much to compute, each op runs where it is best";
}

}  // namespace
}  // namespace trireme::testing
