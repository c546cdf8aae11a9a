// Writes Paddle programs and parameters for tests from the format's field numbers, on its own: it shares no code with
// the reader.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "onnx_writer.h"

namespace trireme::paddle_writer {

using onnx_writer::Message;  // one message of the wire format
using onnx_writer::raw;

constexpr int kBool = 0, kInt32 = 2, kInt64 = 3, kFloat = 5;

inline Message flag(std::string_view name, bool value) {
  return Message().bytes(1, name).number(2, 6).number(10, value ? 1 : 0);
}
inline Message integer(std::string_view name, int64_t value) {
  return Message().bytes(1, name).number(2, 0).number(3, value);
}
inline Message number(std::string_view name, float value) {
  return Message().bytes(1, name).number(2, 1).real(4, value);
}
inline Message text(std::string_view name, std::string_view value) {
  return Message().bytes(1, name).number(2, 2).bytes(5, value);
}
inline Message integers(std::string_view name, const std::vector<int64_t>& values) {
  Message out = Message().bytes(1, name).number(2, 3);
  for (int64_t each : values) out.number(6, each);
  return out;
}
inline Message reals(std::string_view name, const std::vector<float>& values) {
  Message out = Message().bytes(1, name).number(2, 4);
  for (float each : values) out.real(7, each);
  return out;
}
inline Message block_attribute(std::string_view name, int64_t index) {
  return Message().bytes(1, name).number(2, 8).number(12, index);
}

using Named = std::vector<std::pair<std::string, std::vector<std::string>>>;  // {"X", {"a", "b"}}

inline Message op(std::string_view type, const Named& inputs, const Named& outputs,
                  const std::vector<Message>& attributes = {}) {
  Message out;
  const auto list = [&](int field, const Named& named) {
    for (const auto& [parameter, variables] : named) {
      Message one = Message().bytes(1, parameter);
      for (const auto& each : variables) one.bytes(2, each);
      out.message(field, one);
    }
  };
  list(1, inputs);
  list(2, outputs);
  out.bytes(3, type);
  for (const Message& each : attributes) out.message(4, each);
  return out;
}
inline Message feed(std::string_view variable, int64_t column) {
  return op("feed", {{"X", {"feed"}}}, {{"Out", {std::string(variable)}}}, {integer("col", column)});
}
inline Message fetch(std::string_view variable, int64_t column) {
  return op("fetch", {{"X", {std::string(variable)}}}, {{"Out", {"fetch"}}}, {integer("col", column)});
}

inline Message description(int type, const std::vector<int64_t>& sizes) {
  Message out = Message().number(1, type);
  for (int64_t size : sizes) out.number(2, size);
  return out;
}
// A tensor; sizes of -1 are free.
inline Message variable(std::string_view name, int type, const std::vector<int64_t>& sizes, bool parameter = false) {
  const Message tensor = Message().number(1, 7).message(3, Message().message(1, description(type, sizes)));
  return Message().bytes(1, name).message(2, tensor).number(3, parameter ? 1 : 0);
}

struct BlockParts {
  std::vector<Message> variables, operations;
  int64_t parent = -1;
};
// Blocks in order; version 2.4.0 unless another is given.
inline std::string program(const std::vector<BlockParts>& blocks, int64_t version = 2'004'000) {
  Message out;
  for (size_t b = 0; b < blocks.size(); ++b) {
    Message block = Message().number(1, static_cast<int64_t>(b)).number(2, blocks[b].parent);
    for (const Message& each : blocks[b].variables) block.message(3, each);
    for (const Message& each : blocks[b].operations) block.message(4, each);
    out.message(1, block);
  }
  return out.message(4, Message().number(1, version)).data();
}

template <class T>
std::string bytes_of(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
// One parameter as its file has it. `levels`: a level of detail of so many bytes each.
inline std::string record(int type, const std::vector<int64_t>& sizes, const std::string& data,
                          const std::vector<uint64_t>& levels = {}) {
  const std::string tensor = description(type, sizes).data();
  std::string out = bytes_of<uint32_t>(0) + bytes_of<uint64_t>(levels.size());
  for (uint64_t bytes : levels) out += bytes_of(bytes) + std::string(bytes, '\0');
  return out + bytes_of<uint32_t>(0) + bytes_of(static_cast<int32_t>(tensor.size())) + tensor + data;
}

// y = relu(x w + b) for x [-1, 2]; w and b are parameters.
inline BlockParts dense_block() {
  return {{variable("x", kFloat, {-1, 2}), variable("w", kFloat, {2, 3}, true), variable("b", kFloat, {3}, true),
           variable("y", kFloat, {-1, 3})},
          {feed("x", 0), op("mul", {{"X", {"x"}}, {"Y", {"w"}}}, {{"Out", {"p"}}}),
           op("elementwise_add", {{"X", {"p"}}, {"Y", {"b"}}}, {{"Out", {"s"}}}, {integer("axis", 1)}),
           op("relu", {{"X", {"s"}}}, {{"Out", {"y"}}}), fetch("y", 0)}};
}
inline std::string dense_w() { return record(kFloat, {2, 3}, raw<float>({1, 2, 3, 4, 5, 6})); }
inline std::string dense_b() { return record(kFloat, {3}, raw<float>({10, -20, 30})); }
// In the order of the names: b, w.
inline std::string dense_parameters() { return dense_b() + dense_w(); }

}  // namespace trireme::paddle_writer
