// Writes ONNX files for tests from the format's field numbers, on its own: it shares no code with the reader.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace trireme::onnx_writer {

// One message of the wire format.
class Message {
 public:
  Message& number(int field, int64_t value) {
    varint(static_cast<uint64_t>(field) << 3);
    varint(static_cast<uint64_t>(value));
    return *this;
  }
  Message& real(int field, float value) {
    varint((static_cast<uint64_t>(field) << 3) | 5);
    char bytes[4];
    std::memcpy(bytes, &value, 4);
    data_.append(bytes, 4);
    return *this;
  }
  Message& bytes(int field, std::string_view value) {
    varint((static_cast<uint64_t>(field) << 3) | 2);
    varint(value.size());
    data_.append(value);
    return *this;
  }
  Message& message(int field, const Message& value) { return bytes(field, value.data_); }
  const std::string& data() const { return data_; }

 private:
  void varint(uint64_t value) {
    for (; value >= 128; value >>= 7) data_.push_back(static_cast<char>(value | 128));
    data_.push_back(static_cast<char>(value));
  }
  std::string data_;
};

constexpr int kFloat = 1, kInt32 = 6, kInt64 = 7, kBool = 9;

inline Message attribute(std::string_view name, int64_t value) {
  return Message().bytes(1, name).number(3, value).number(20, 2);
}
inline Message attribute(std::string_view name, const Message& graph) {
  return Message().bytes(1, name).message(6, graph).number(20, 5);
}

inline Message node(std::string_view op, const std::vector<std::string>& inputs,
                    const std::vector<std::string>& outputs, const std::vector<Message>& attributes = {},
                    std::string_view domain = {}) {
  Message out;
  for (const auto& each : inputs) out.bytes(1, each);
  for (const auto& each : outputs) out.bytes(2, each);
  out.bytes(3, "my_" + std::string(op)).bytes(4, op);
  for (const auto& each : attributes) out.message(5, each);
  if (!domain.empty()) out.bytes(7, domain);
  return out;
}

// A declared value; sizes of -1 are free.
inline Message value(std::string_view name, int type, const std::vector<int64_t>& sizes) {
  Message shape;
  for (int64_t size : sizes) {
    Message dim;
    if (size >= 0) dim.number(1, size);
    else dim.bytes(2, "free");
    shape.message(1, dim);
  }
  return Message().bytes(1, name).message(2, Message().message(1, Message().number(1, type).message(2, shape)));
}

template <class T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

inline Message tensor(std::string_view name, int type, const std::vector<int64_t>& sizes, const std::string& bytes) {
  Message out;
  for (int64_t size : sizes) out.number(1, size);
  return out.number(2, type).bytes(8, name).bytes(9, bytes);
}

struct GraphParts {
  std::vector<Message> nodes, inputs, outputs, initializers;
};
inline Message graph(const GraphParts& parts) {
  Message out;
  for (const auto& each : parts.nodes) out.message(1, each);
  out.bytes(2, "g");
  for (const auto& each : parts.initializers) out.message(5, each);
  for (const auto& each : parts.inputs) out.message(11, each);
  for (const auto& each : parts.outputs) out.message(12, each);
  return out;
}

inline std::string model(const GraphParts& parts, int64_t opset = 17, const std::vector<Message>& functions = {}) {
  Message out;
  out.number(1, 8).message(7, graph(parts));
  out.message(8, Message().bytes(1, "").number(2, opset));
  out.message(8, Message().bytes(1, "mine").number(2, 1));
  for (const auto& each : functions) out.message(25, each);
  return out.data();
}

}  // namespace trireme::onnx_writer
