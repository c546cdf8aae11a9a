// Paddle models: read, and turned into Trireme graphs.
//
// A damaged, hostile or unknown file is an Error: kDataLoss where the file is wrong, kUnsupported where it is sound but
// asks for something Trireme lacks (the message names block, operation, operator and what is supported). Parameters are
// read only from the folder of the model.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "trireme/formats/model.h"

namespace trireme::formats::paddle {

class Model final : public formats::Model {
 public:
  // `path` is one of:
  //   NAME.pdmodel or NAME.json (Paddle 3), the parameters in NAME.pdiparams beside it;
  //   a file named __model__ (or NAME.__model__), the parameters in __params__ beside it or in a file each;
  //   a folder that holds one of these.
  static Model load(const std::string& path);
  // A program and its combined parameters in memory; `source` names them in messages.
  static Model parse(std::span<const std::byte> program, std::span<const std::byte> parameters,
                     const std::string& source);

  const std::vector<Declared>& inputs() const override;
  const std::vector<Declared>& outputs() const override;
  std::vector<std::string> operators() const override;

  struct Impl;

 private:
  Imported import_graph(const std::vector<Binding>& inputs, const Evaluate& evaluate) const override;

  std::shared_ptr<const Impl> impl_;
};

// True when the path is one that Model::load takes: by the file's name, or by what lies in the folder.
bool is_model(const std::string& path);

// Names of the mapped operators, sorted.
std::vector<std::string> supported_operators();

}  // namespace trireme::formats::paddle
