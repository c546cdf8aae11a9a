// Opens a model of another format by what the file or folder is: ONNX (NAME.onnx) or Paddle (NAME.pdmodel, NAME.json,
// __model__, or a folder that holds one of these).
#pragma once

#include <memory>
#include <string>

#include "trireme/formats/model.h"

namespace trireme::formats {

// Null when the path is none of these. Throws as the formats' loaders do.
std::shared_ptr<const Model> open_model(const std::string& path);

}  // namespace trireme::formats
