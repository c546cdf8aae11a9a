// The outline of a model file: the file without the large tensors of its main graph, and where in the file those lie.
// So a model is read without its weights, which stay in the mapped file until they are used. Internal to formats/onnx.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace trireme::formats::onnx {

struct Outline {
  std::string bytes;
  // One per initializer in the order of the file: its raw_data; empty where that is small and still inside.
  std::vector<std::span<const std::byte>> raw_data;
};

// Nothing where the file is not laid out as a model; the parser will say why.
std::optional<Outline> outline_of(std::span<const std::byte> file);

}  // namespace trireme::formats::onnx
