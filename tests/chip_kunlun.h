// Graphs on the Kunlun chip, for tests of what it does with them.
#pragma once

#include <gtest/gtest.h>

#include <random>
#include <stdexcept>

#include "make_op.h"
#include "trireme/certify/judge.h"
#include "trireme/runtime/host.h"
#include "trireme/runtime/plan.h"

namespace trireme::testing {

using certify::OpenChip;

inline OpenChip& xpu() {
  static OpenChip* opened = [] {
    for (const auto& chip : chip::all_chips(runtime::host_services()).chips) {
      if (chip->name() == "xpu") return new OpenChip(*chip);
    }
    throw std::logic_error("no xpu is built in");
  }();
  return *opened;
}

inline Literal random_literal(const Shape& shape, uint32_t seed, double most = 2.0) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-most, most);
  std::vector<double> values(static_cast<size_t>(shape.elements()));
  for (double& value : values) value = uniform(random);
  return Literal::from_doubles(f32, shape, values);
}

inline Value known(const Shape& shape, uint32_t seed, double most = 2.0) {
  return op("constant", {}, {{"value", std::make_shared<const Literal>(random_literal(shape, seed, most))}});
}

inline std::shared_ptr<runtime::Plan> plan_of(const Graph& graph) {
  return runtime::Plan::make(graph, {.target = &runtime::Device::get("xpu:0"), .fallback = runtime::Fallback::kError});
}

// Runs a graph of f32 parameters on the xpu alone and holds it against the reference, in the arithmetic that the chip
// states. Returns the number of launches.
inline int check(const Graph& graph) {
  std::vector<Literal> inputs;
  for (const Value& v : graph.inputs()) {
    inputs.push_back(random_literal(v.shape(), 7 + static_cast<uint32_t>(inputs.size())));
  }
  EXPECT_NO_THROW(certify::verify_through_runtime(xpu(), graph, inputs, "", /*alone=*/true));
  return plan_of(graph)->ledger().launches;
}

}  // namespace trireme::testing
