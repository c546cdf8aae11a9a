// trireme quantize: a model's products as products of 8-bit integers, calibrated on sample inputs and compared with the
// model as it was.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/inputs.h"
#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/progress.h"
#include "trireme/base/strings.h"
#include "trireme/checkpoint/export.h"
#include "trireme/formats/open_model.h"
#include "trireme/formats/session.h"
#include "trireme/passes/simplify.h"
#include "trireme/runtime/trace.h"
#include "trireme/tensor/tensor.h"
#include "trireme/train/quantize.h"

namespace trireme::cli {

namespace {

struct Options {
  DeviceOptions device;
  InputOptions input;
  std::string model, method = "minmax", output;
  std::vector<std::string> calibration;
  double percentile = 99.99;
  int64_t batch = 1, free = 1, limit = 0;
  bool reduce_range = false;
  bool json = false;
};

using train::Sample;

// ---- samples --------------------------------------------------------------------------------------------------------

std::vector<std::string> files_of(const std::string& path) {
  if (!std::filesystem::is_directory(path)) return {path};
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.is_regular_file()) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) throw Error(Code::kInvalidArgument, cat("--calibration: the folder '", path, "' has no files"));
  return files;
}

Literal rows_of(const Literal& all, int64_t first, int64_t count) {
  const size_t row = all.bytes() / static_cast<size_t>(all.shape()[0]);
  const auto owner = std::make_shared<const Literal>(all);
  return {all.dtype(), all.shape().with(0, count), owner,
          static_cast<const std::byte*>(all.data()) + static_cast<size_t>(first) * row};
}

// The samples one file holds: an array with more along axis 0 than the model takes at once is cut into several.
void add_samples(const Options& options, const GivenInput& given, const WantedInput& wanted, std::vector<Literal>& to) {
  Literal value = options.input.read(given, wanted);
  const auto refuse = [&](const std::string& why) {
    throw Error(Code::kInvalidArgument,
                cat("--calibration ", given.name, ": '", given.file, "' is ", value.dtype(), value.shape(), "; ", why));
  };
  if (value.dtype() != wanted.dtype) {
    if (!is_float(value.dtype()) || !is_float(wanted.dtype)) refuse(cat("the model takes ", wanted.dtype));
    Literal converted = Literal::zeros(wanted.dtype, value.shape());
    convert_elements(value.dtype(), value.data(), wanted.dtype, converted.mutable_data(), value.elements());
    value = converted;
  }
  const auto rank = static_cast<int>(wanted.sizes.size());
  if (!wanted.has_shape || rank == 0) return to.push_back(value);
  const bool fits = value.shape().rank() == rank && [&] {
    for (int a = 1; a < rank; ++a) {
      const int64_t size = wanted.sizes[static_cast<size_t>(a)];
      if (size >= 0 && size != value.shape()[a]) return false;
    }
    return true;
  }();
  if (!fits) refuse(cat("the model takes ", wanted.sizes, " (-1: any), or more of such along the first axis"));
  const int64_t batch = wanted.sizes[0] >= 0 ? wanted.sizes[0] : options.batch;
  if (batch == 0 || value.shape()[0] < batch) refuse(cat("a sample has ", batch, " along the first axis"));
  for (int64_t first = 0; first + batch <= value.shape()[0]; first += batch) {
    to.push_back(rows_of(value, first, batch));
  }
}

// The samples of every input, by its name.
class Samples {
 public:
  // `needed`: the inputs without a default.
  Samples(const Options& options, const std::vector<std::string>& names, const std::vector<WantedInput>& wanted,
          const std::vector<std::string>& needed)
      : names_(names), values_(names.size()) {
    for (const std::string& text : options.calibration) {
      const size_t equals = text.find('=');
      GivenInput given{"", text};
      if (equals != std::string::npos) {
        given = {text.substr(0, equals), text.substr(equals + 1)};
      } else if (needed.size() == 1) {
        given.name = needed[0];
      } else {
        throw Error(Code::kInvalidArgument,
                    cat("--calibration '", text, "' is not name=path; the model's inputs are: ", join(needed, ", ")));
      }
      const auto at = std::find(names.begin(), names.end(), given.name);
      if (at == names.end()) {
        throw Error(Code::kNotFound,
                    cat("--calibration: the model has no input '", given.name, "'; it has: ", join(needed, ", ")));
      }
      const auto i = static_cast<size_t>(at - names.begin());
      for (const std::string& file : files_of(given.file)) {
        add_samples(options, {given.name, file}, wanted[i], values_[i]);
      }
    }
  }

  bool given(size_t input) const { return !values_[input].empty(); }
  // How many there are; all inputs given have as many.
  size_t count() const {
    size_t count = 0, first = 0;
    for (size_t i = 0; i < values_.size(); ++i) {
      if (values_[i].empty()) continue;
      if (count != 0 && values_[i].size() != count) {
        throw Error(Code::kInvalidArgument,
                    cat("--calibration gives ", count, " samples of '", names_[first], "' and ", values_[i].size(),
                        " of '", names_[i], "'; each sample needs one of every input"));
      }
      if (count == 0) count = values_[i].size(), first = i;
    }
    return count;
  }
  const Literal& value(size_t input, size_t sample) const { return values_[input][sample]; }

 private:
  std::vector<std::string> names_;
  std::vector<std::vector<Literal>> values_;
};

// ---- the model ------------------------------------------------------------------------------------------------------

struct Loaded {
  Graph graph;
  std::vector<Sample> samples;
};

void require_all(const Options& options, const std::string& name) {
  throw Error(Code::kInvalidArgument, cat("--calibration gives no samples of the input '", name, "' of '",
                                          options.model, "'; every input needs them"));
}

Loaded load_imported(const Options& options, const formats::Model& model) {
  std::vector<std::string> names, needed;
  std::vector<WantedInput> wanted;
  for (const auto& declared : model.inputs()) {
    const bool tensor = declared.kind == formats::Kind::kTensor;
    if (!tensor && !declared.optional) {
      throw Error(Code::kUnsupported, cat("the input '", declared.name,
                                          "' is no tensor; only graphs of tensors are "
                                          "quantised"));
    }
    names.push_back(declared.name);
    if (!declared.optional) needed.push_back(declared.name);
    wanted.push_back({tensor ? formats::carrier(declared.elem) : f32, declared.has_shape, declared.sizes});
  }
  const Samples samples(options, names, wanted, needed);
  Loaded loaded;
  loaded.samples.resize(samples.count());
  std::vector<formats::Binding> bindings(names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    if (!samples.given(i)) {
      if (!loaded.samples.empty() && !model.inputs()[i].optional) require_all(options, names[i]);
      continue;
    }
    bindings[i] = formats::Binding(formats::HostValue(samples.value(i, 0)));
    for (size_t s = 0; s < loaded.samples.size(); ++s) loaded.samples[s].push_back(samples.value(i, s));
  }
  const auto imported =
      loaded.samples.empty() ? model.import_with(options.free) : model.import(bindings, formats::compute);
  for (const auto& layout : imported.layouts) {
    if (layout.kind != formats::Kind::kTensor) {
      throw Error(Code::kUnsupported,
                  cat("'", options.model, "' has an output that is no tensor; only graphs of tensors are quantised"));
    }
  }
  loaded.graph = passes::simplify(imported.graph);
  return loaded;
}

Loaded load(const Options& options) {
  if (const auto model = formats::open_model(options.model)) return load_imported(options, *model);
  Loaded loaded{passes::simplify(checkpoint::import_model(options.model)), {}};
  const Graph& graph = loaded.graph;
  std::vector<WantedInput> wanted;
  for (const Value& v : graph.inputs()) wanted.push_back({v.dtype(), true, v.shape().vector()});
  const Samples samples(options, graph.input_names(), wanted, graph.input_names());
  loaded.samples.resize(samples.count());
  for (size_t i = 0; i < wanted.size() && !loaded.samples.empty(); ++i) {
    if (!samples.given(i)) require_all(options, graph.input_names()[i]);
    for (size_t s = 0; s < loaded.samples.size(); ++s) loaded.samples[s].push_back(samples.value(i, s));
  }
  return loaded;
}

void check_shapes(const Loaded& loaded) {
  for (size_t s = 0; s < loaded.samples.size(); ++s) {
    for (size_t i = 0; i < loaded.samples[s].size(); ++i) {
      const Shape &shape = loaded.samples[s][i].shape(), &wanted = loaded.graph.inputs()[i].shape();
      if (shape == wanted) continue;
      throw Error(Code::kInvalidArgument, cat("calibration sample ", s, " of '", loaded.graph.input_names()[i], "' is ",
                                              shape, ", the first one is ", wanted, "; all samples have one shape"));
    }
  }
}

// ---- running --------------------------------------------------------------------------------------------------------

class Function {
 public:
  explicit Function(const Graph& graph)
      : compiled_([graph](const std::vector<Tensor>& inputs) { return run(graph, inputs); }) {}
  std::vector<Literal> operator()(const Sample& sample) {
    const std::vector<Tensor> inputs(sample.begin(), sample.end());
    const uint64_t begin = runtime::now_ns();
    std::vector<Literal> out;
    for (const Tensor& each : compiled_(inputs)) out.push_back(each.literal());
    ms_.push_back(static_cast<double>(runtime::now_ns() - begin) * 1e-6);
    return out;
  }
  // Of one run, without the first, which plans.
  double median_ms() {
    std::vector<double> ms(ms_.begin() + (ms_.size() > 1 ? 1 : 0), ms_.end());
    std::sort(ms.begin(), ms.end());
    return ms.empty() ? 0.0 : ms[ms.size() / 2];
  }

 private:
  Compiled compiled_;
  std::vector<double> ms_;
};

// How far the outputs of the quantised model are from those of the model as it was, over all samples.
struct Difference {
  double error = 0.0, signal = 0.0, largest = 0.0;  // sums of squares; of one element
  int64_t examples = 0, agreeing = 0;               // of a classification
  void add(const Literal& expected, const Literal& got) {
    const std::vector<double> a = expected.to_doubles(), b = got.to_doubles();
    for (size_t i = 0; i < a.size(); ++i) {
      const double off = std::fabs(a[i] - b[i]);
      error += off * off, signal += a[i] * a[i], largest = std::max(largest, off);
    }
    const Shape& shape = expected.shape();  // scores [examples, classes], perhaps with more axes of size 1
    if (shape.rank() < 2 || shape[1] < 2 || shape[0] * shape[1] != shape.elements()) return;
    const auto classes = static_cast<size_t>(shape[1]);
    for (size_t row = 0; row + classes <= a.size(); row += classes) {
      const auto best = [&](const std::vector<double>& v) {
        const auto at = v.begin() + static_cast<std::ptrdiff_t>(row);
        return std::max_element(at, at + static_cast<std::ptrdiff_t>(classes)) - at;
      };
      ++examples;
      agreeing += best(a) == best(b);
    }
  }
  double relative() const { return signal > 0.0 ? std::sqrt(error / signal) : std::sqrt(error); }
};

nlohmann::json compare(const Graph& before, const Graph& after, const std::vector<Sample>& samples) {
  Function original(before), quantised(after);
  std::vector<Difference> differences(before.outputs().size());
  Progress progress("compare", static_cast<int64_t>(samples.size()), "samples");
  for (const Sample& sample : samples) {
    const auto expected = original(sample), got = quantised(sample);
    for (size_t k = 0; k < expected.size(); ++k) differences[k].add(expected[k], got[k]);
    progress.advance();
  }
  nlohmann::json outputs = nlohmann::json::array();
  for (size_t k = 0; k < differences.size(); ++k) {
    const Difference& d = differences[k];
    nlohmann::json row = {{"name", before.output_names().empty() ? cat("output", k) : before.output_names()[k]},
                          {"relative_error", d.relative()},
                          {"largest_difference", d.largest}};
    if (d.examples > 0) row["top1_agreement"] = static_cast<double>(d.agreeing) / static_cast<double>(d.examples);
    outputs.push_back(row);
  }
  return {{"outputs", outputs}, {"ms_before", original.median_ms()}, {"ms_after", quantised.median_ms()}};
}

void print(const Options& options, const nlohmann::json& facts) {
  if (options.json) {
    std::printf("%s\n", facts.dump().c_str());
    return;
  }
  std::printf("%s: %s products in 8 bits, weights %.2f MB (before: %.2f MB)\n", options.output.c_str(),
              facts["products"].dump().c_str(), facts["bytes_after"].get<double>() * 1e-6,
              facts["bytes_before"].get<double>() * 1e-6);
  if (!facts.contains("outputs")) {
    std::printf("not compared with the model as it was: --calibration gives samples to do it on\n");
    return;
  }
  std::printf("on %s samples, %.3f ms each (before: %.3f ms):\n", facts["samples"].dump().c_str(),
              facts["ms_after"].get<double>(), facts["ms_before"].get<double>());
  for (const auto& row : facts["outputs"]) {
    std::printf("  %s: relative error %.4f, largest difference %.4g", row["name"].get<std::string>().c_str(),
                row["relative_error"].get<double>(), row["largest_difference"].get<double>());
    if (row.contains("top1_agreement")) {
      std::printf(", best class agrees in %.2f%%", 100 * row["top1_agreement"].get<double>());
    }
    std::printf("\n");
  }
}

void quantize(const Options& options) {
  options.device.apply();
  const bool dynamic = options.method == "dynamic";
  if (!dynamic && options.calibration.empty()) {
    throw Error(Code::kInvalidArgument, cat("--method ", options.method,
                                            " takes the ranges of activations from samples: give --calibration; "
                                            "--method dynamic needs none"));
  }
  const Loaded loaded = load(options);
  check_shapes(loaded);
  train::QuantizeOptions how{
      .percentile = options.percentile, .limit = options.limit, .reduce_range = options.reduce_range};
  if (dynamic) how.method = std::nullopt;
  else how.method = passes::parse_calibration_method(options.method);
  const Graph quantised = train::quantize(loaded.graph, loaded.samples, how);
  nlohmann::json facts = {{"model", options.model},
                          {"output", options.output},
                          {"method", options.method},
                          {"reduce_range", options.reduce_range},
                          {"products", train::integer_products(quantised)},
                          {"samples", loaded.samples.size()},
                          {"bytes_before", train::constant_bytes(loaded.graph)},
                          {"bytes_after", train::constant_bytes(quantised)}};
  if (!loaded.samples.empty()) facts.update(compare(loaded.graph, quantised, loaded.samples));
  save_model(quantised, options.output);
  print(options, facts);
}

}  // namespace

void add_quantize(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("quantize", "Turn a model's products into products of 8-bit integers");
  command->add_option("model", options->model, "folder of an exported model, or an ONNX or Paddle model")->required();
  command->add_option("--output", options->output, "folder of the quantised model, or a .onnx file")->required();
  command
      ->add_option("--method", options->method,
                   "ranges of activations: minmax, percentile or entropy of samples; dynamic: found at each run")
      ->capture_default_str()
      ->check(CLI::IsMember({"minmax", "percentile", "entropy", "dynamic"}));
  command->add_option("--calibration", options->calibration,
                      "[name=]path of samples of an input: a file (see `trireme run --input`) or a folder of files; "
                      "a .npy array is cut along its first axis");
  command->add_option("--percentile", options->percentile, "of the method percentile")
      ->capture_default_str()
      ->check(CLI::Range(50.0001, 100.0));
  command
      ->add_option("--limit", options->limit, "calibrate on the first so many samples only; the comparison is on all")
      ->check(CLI::PositiveNumber);
  command->add_flag("--reduce-range", options->reduce_range,
                    "weights in 7 bits: faster on processors without VNNI, a little less accurate");
  command->add_option("--batch", options->batch, "examples per sample where the model's first axis is free")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--free", options->free, "size of free axes where no samples are given")->capture_default_str();
  options->input.add_pictures_to(*command);
  command->add_flag("--json", options->json, "print one JSON line");
  options->device.add_to(*command);
  command->callback([options] { quantize(*options); });
}

}  // namespace trireme::cli
