#include "trireme/formats/weights.h"

#include <vector>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/formats/npz.h"
#include "trireme/formats/pytorch.h"
#include "trireme/formats/safetensors.h"

namespace trireme::formats {

namespace {

Weights from_pytorch(const std::string& path) {
  Pytorch content = read_pytorch(path);
  return {std::move(content.tensors), std::move(content.facts)};
}

Weights from_safetensors(const std::string& path) {
  Safetensors content = read_safetensors(path);
  return {std::move(content.tensors), std::move(content.metadata)};
}

void to_safetensors(const std::string& path, const Weights& weights, bool compress) {
  if (compress) {
    throw Error(Code::kUnsupported,
                cat("cannot write '", path, "' compressed: safetensors files are mapped as they are; write .npz"));
  }
  write_safetensors(path, {weights.tensors, weights.facts});
}

}  // namespace

std::span<const WeightsFormat> weights_formats() {
  static const std::vector<WeightsFormat> table = {
      {".safetensors", "safetensors file", from_safetensors, to_safetensors},
      {".npz", "NumPy archive",
       [](const std::string& path) {
         return Weights{read_npz(path), {}};
       },
       [](const std::string& path, const Weights& w, bool compress) { write_npz(path, w.tensors, compress); }},
      {".pt", "PyTorch checkpoint", from_pytorch, {}},
      {".pth", "PyTorch checkpoint", from_pytorch, {}},
  };
  return table;
}

const WeightsFormat& weights_format(const std::string& path) {
  std::vector<std::string> known;
  for (const WeightsFormat& format : weights_formats()) {
    if (path.ends_with(format.suffix)) return format;
    known.emplace_back(format.suffix);
  }
  throw Error(Code::kUnsupported,
              cat("'", path, "' is not called like a file of weights; known are ", join(known, ", ")));
}

std::map<std::string, Literal> load_weights(const std::string& path) { return weights_format(path).read(path).tensors; }

}  // namespace trireme::formats
