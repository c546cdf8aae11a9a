// trireme convert: named tensors from one file format to another.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/formats/weights.h"

namespace trireme::cli {

namespace {

struct Options {
  std::string from, to, dtype;
  bool compress = false, json = false;
};

Literal as_type(const Literal& tensor, DType type) {
  if (!is_float(tensor.dtype()) || tensor.dtype() == type) return tensor;
  Literal out = Literal::zeros(type, tensor.shape());
  convert_elements(tensor.dtype(), tensor.data(), type, out.mutable_data(), tensor.elements());
  return out;
}

void convert(const Options& options) {
  const formats::WeightsFormat &source = formats::weights_format(options.from),
                               &target = formats::weights_format(options.to);
  if (!target.write) {
    std::vector<std::string> writable;
    for (const formats::WeightsFormat& format : formats::weights_formats()) {
      if (format.write) writable.emplace_back(format.suffix);
    }
    throw Error(Code::kUnsupported, cat("cannot write '", options.to, "': a ", target.name, " is only read; write ",
                                        join(writable, " or ")));
  }
  formats::Weights weights = source.read(options.from);
  if (weights.tensors.empty()) {
    throw Error(Code::kInvalidArgument, cat("'", options.from, "' holds no tensor; nothing was written"));
  }
  if (!options.dtype.empty()) {
    const DType type = parse_dtype(options.dtype);
    if (!is_float(type)) {
      throw Error(Code::kInvalidArgument,
                  cat("--dtype ", type, ": weights become floating numbers: f32, f64, f16, bf16"));
    }
    for (auto& [name, tensor] : weights.tensors) tensor = as_type(tensor, type);
  }
  target.write(options.to, weights, options.compress);
  int64_t elements = 0;
  uint64_t bytes = 0;
  for (const auto& [name, tensor] : weights.tensors) elements += tensor.elements(), bytes += tensor.bytes();
  const size_t count = weights.tensors.size();
  if (options.json) {
    std::printf(
        "%s\n",
        nlohmann::json{
            {"from", options.from}, {"to", options.to}, {"tensors", count}, {"elements", elements}, {"bytes", bytes}}
            .dump()
            .c_str());
  } else {
    std::printf("%s: %zu tensors, %lld elements, %llu bytes\n", options.to.c_str(), count,
                static_cast<long long>(elements), static_cast<unsigned long long>(bytes));
  }
}

}  // namespace

void add_convert(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("convert", "Convert weights between file formats, by their suffixes");
  std::vector<std::string> readable, writable;
  for (const formats::WeightsFormat& format : formats::weights_formats()) {
    readable.emplace_back(format.suffix);
    if (format.write) writable.emplace_back(format.suffix);
  }
  command->add_option("from", options->from, "the file to read: " + join(readable, ", "))->required();
  command->add_option("to", options->to, "the file to write: " + join(writable, ", "))->required();
  command->add_option("--dtype", options->dtype, "floating type that floating tensors become (default: as they are)");
  command->add_flag("--compress", options->compress, "deflate the arrays of an .npz file");
  command->add_flag("--json", options->json, "print one JSON line");
  command->callback([options] { convert(*options); });
}

}  // namespace trireme::cli
