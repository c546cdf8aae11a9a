// Runs programs on a chip through the C ABI and through the reference evaluator, over operands of any strides.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "trireme/chip/chip.hpp"
#include "trireme/ir/graph.h"
#include "trireme/ir/registry.h"
#include "trireme/ops/ops.h"
#include "trireme/runtime/program.h"

namespace trireme::chip_test {

// A typed function of an op, so that the linker takes the registry along.
[[gnu::used]] inline Value (*const kTakeRegistry)(const Value&, const Value&) = &ops::add;

using Named = std::vector<std::pair<std::string, Attribute>>;

// A node by op name; attributes not given take their defaults.
inline Value node(const char* op, std::vector<Value> inputs, const Named& given = {}) {
  const OpDecl& decl = get_op(op);
  std::vector<Attribute> attributes;
  for (const AttributeSpec& spec : decl.attributes.list) {
    attributes.push_back(spec.fallback);
    for (const auto& [name, value] : given) {
      if (name == spec.name) attributes.back() = value;
    }
  }
  return make_node(decl, std::move(inputs), std::move(attributes));
}

// The bytes of one operand: element [0, 0, ...] stands `origin` bytes after the first.
struct Operand {
  TrmValue type;
  int64_t origin = 0;
  std::vector<std::byte> bytes;

  explicit Operand(const TrmValue& t) : type(t) {
    int64_t low = 0, high = 0;
    for (uint32_t a = 0; a < t.rank; ++a) (t.strides[a] < 0 ? low : high) += (t.dims[a] - 1) * t.strides[a];
    const auto item = static_cast<int64_t>(chip::size_of(t.dtype));
    if (chip::elements(t) == 0) return;
    origin = -low * item;
    bytes.resize(static_cast<size_t>((high - low + 1) * item));
  }
  // Random contents: floats in [low, high], integers likewise, booleans either.
  void randomize(std::mt19937_64& random, double low, double high) {
    const size_t item = chip::size_of(type.dtype);
    for (size_t i = 0; i + item <= bytes.size(); i += item) {
      const double x = low + (high - low) * static_cast<double>(random() % 1000003) / 1000003.0;
      const double value = is_float(static_cast<DType>(type.dtype)) ? x
                           : type.dtype == TRM_BOOL                 ? x > (low + high) / 2
                                                                    : std::floor(x);
      const Literal one = Literal::from_doubles(static_cast<DType>(type.dtype), {}, std::vector<double>{value});
      std::memcpy(bytes.data() + i, one.data(), item);
    }
  }
  // Elements in row-major order.
  std::vector<double> values() const {
    std::vector<double> out;
    const int64_t count = chip::elements(type);
    int64_t index[TRM_MAX_RANK] = {};
    for (int64_t i = 0; i < count; ++i) {
      int64_t at = 0;
      for (uint32_t a = 0; a < type.rank; ++a) at += index[a] * type.strides[a];
      double value = 0;
      convert_elements(static_cast<DType>(type.dtype),
                       bytes.data() + origin + at * static_cast<int64_t>(chip::size_of(type.dtype)), f64, &value, 1);
      out.push_back(value);
      for (uint32_t a = type.rank; a-- > 0;) {
        if (++index[a] < type.dims[a]) break;
        index[a] = 0;
      }
    }
    return out;
  }
};

// Inputs with random contents, then empty outputs.
inline std::vector<Operand> operands_of(const TrmProgram* program, uint64_t seed, double low = -2, double high = 2) {
  const chip::Program view(&runtime::program_reader(), program);
  std::mt19937_64 random(seed);
  std::vector<Operand> operands;
  for (uint32_t k = 0; k < view.operand_count(); ++k) {
    operands.emplace_back(view.operand(k));
    if (k < view.input_count()) operands.back().randomize(random, low, high);
  }
  return operands;
}

// What the program means: fills the outputs.
inline void evaluate(const TrmProgram* program, std::vector<Operand>& operands) {
  const chip::Program view(&runtime::program_reader(), program);
  std::vector<const void*> in;
  std::vector<void*> out;
  for (uint32_t k = 0; k < operands.size(); ++k) {
    std::byte* origin = operands[k].bytes.data() + operands[k].origin;
    if (k < view.input_count()) in.push_back(origin);
    else out.push_back(origin);
  }
  TrmErr err = chip::sized<TrmErr>();
  ASSERT_EQ(runtime::evaluate_service().run(program, in.data(), out.data(), &err), TRM_OK) << err.text;
}

// The same on a chip: query, prepare, copies, enqueue, copies back.
inline void run_on(const TrmChip& c, TrmDev* dev, const TrmProgram* program, std::vector<Operand>& operands) {
  TrmErr err = chip::sized<TrmErr>();
  TrmAnswer answer = chip::sized<TrmAnswer>();
  ASSERT_EQ(c.compute->query(dev, program, &answer, &err), TRM_OK) << err.text;
  ASSERT_EQ(answer.verdict, static_cast<uint32_t>(TRM_NATIVE)) << answer.text;
  TrmKernel* kernel = nullptr;
  ASSERT_EQ(c.compute->prepare(dev, program, &kernel, &err), TRM_OK) << err.text;
  TrmProps props = chip::sized<TrmProps>();
  ASSERT_EQ(c.device->props(0, &props, &err), TRM_OK) << err.text;
  const auto alloc = [&](uint64_t bytes) {
    TrmMem mem{};
    EXPECT_EQ(c.device->chunk_alloc(dev, props.spaces[0].id, bytes, 0, &mem, &err), TRM_OK) << err.text;
    return mem;
  };
  const auto move = [&](Operand& operand, const TrmMem& mem, bool up) {
    const TrmMem host{reinterpret_cast<uint64_t>(operand.bytes.data()), 0, operand.bytes.size(), TRM_HOST_SPACE, 0};
    const TrmCopy copy{sizeof(TrmCopy), 0, up ? mem : host, up ? host : mem, operand.bytes.size()};
    EXPECT_EQ(c.device->copy(dev, &copy, nullptr, 1, &err), TRM_OK) << err.text;
  };
  std::vector<TrmMem> chunks, mems;
  for (Operand& operand : operands) {
    chunks.push_back(alloc(operand.bytes.size()));
    move(operand, chunks.back(), true);
    mems.push_back(chunks.back());
    mems.back().offset = static_cast<uint64_t>(operand.origin);
    mems.back().bytes -= mems.back().offset;
  }
  const TrmMem workspace = alloc(answer.workspace_bytes);
  EXPECT_EQ(
      c.compute->enqueue(dev, kernel, mems.data(), static_cast<uint32_t>(mems.size()), &workspace, nullptr, 2, &err),
      TRM_OK)
      << err.text;
  for (size_t k = 0; k < operands.size(); ++k) move(operands[k], chunks[k], false);
  EXPECT_EQ(c.device->sync(dev, &err), TRM_OK) << err.text;
  EXPECT_EQ(c.compute->release(dev, kernel), TRM_OK);
  for (const TrmMem& mem : chunks) EXPECT_EQ(c.device->chunk_free(dev, &mem), TRM_OK);
  EXPECT_EQ(c.device->chunk_free(dev, &workspace), TRM_OK);
}

}  // namespace trireme::chip_test
