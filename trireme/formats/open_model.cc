#include "trireme/formats/open_model.h"

#include "trireme/formats/onnx/model.h"
#include "trireme/formats/paddle/model.h"

namespace trireme::formats {

std::shared_ptr<const Model> open_model(const std::string& path) {
  if (path.ends_with(".onnx")) return std::make_shared<onnx::Model>(onnx::Model::load(path));
  if (paddle::is_model(path)) return std::make_shared<paddle::Model>(paddle::Model::load(path));
  return nullptr;
}

}  // namespace trireme::formats
