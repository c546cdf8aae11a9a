// ONNX models: read, and turned into Trireme graphs.
//
// A damaged, hostile or unknown file is an Error: kDataLoss where the file is wrong, kUnsupported where it is sound but
// asks for something Trireme lacks (the message names the op, the node, the opset and what is supported). External data
// is read only from the folder of the model.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/formats/model.h"

namespace trireme::formats::onnx {

class Model final : public formats::Model {
 public:
  // Reads the file. Tensors are not copied again: literals point into the model's memory.
  static Model load(const std::string& path);
  // The same for bytes in memory; `folder` is where external data may lie (empty: nowhere).
  static Model parse(std::span<const std::byte> bytes, const std::string& source, const std::string& folder = {});

  const std::vector<Declared>& inputs() const override;
  const std::vector<Declared>& outputs() const override;
  // The opset of the main domain, and the distinct operators ("Conv", "ai.onnx.ml::Scaler") in order of appearance.
  int64_t opset() const;
  std::vector<std::string> operators() const override;

  struct Impl;

 private:
  Imported import_graph(const std::vector<Binding>& inputs, const Evaluate& evaluate) const override;

  std::shared_ptr<const Impl> impl_;
};

// Names of the mapped operators, each with its opset range: "Add 1-27", sorted.
std::vector<std::string> supported_operators();

// A file holding one value: a tensor, or where `declared` says so a sequence or an optional.
HostValue read_value(const std::string& path, const Declared& declared);
HostValue parse_value(std::string_view bytes, const std::string& source, const Declared& declared);

}  // namespace trireme::formats::onnx
