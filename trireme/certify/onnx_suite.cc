#include "trireme/certify/onnx_suite.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/formats/onnx/model.h"
#include "trireme/formats/session.h"

namespace trireme::certify {

namespace fs = std::filesystem;
using formats::Declared;
using formats::HostValue;
using formats::Kind;

namespace {

std::string describe(const HostValue& value) {
  switch (value.kind) {
    case Kind::kNothing: return "nothing";
    case Kind::kTensor: return cat(name(value.elem), value.tensor.shape());
    case Kind::kText: return cat("text", value.text->shape);
    case Kind::kSequence: return cat("a sequence of ", value.items.size());
  }
  return {};
}

std::string tensor_difference(const Literal& got, const Literal& expected, double relative, double absolute) {
  const std::vector<double> a = got.to_doubles(), b = expected.to_doubles();
  size_t worst = 0, count = 0;
  double most = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
    const double allowed = absolute + relative * std::abs(b[i]), off = std::abs(a[i] - b[i]);
    if (std::isfinite(a[i]) && std::isfinite(b[i]) && off <= allowed) continue;
    ++count;
    const double excess = std::isfinite(off) ? off / allowed : INFINITY;
    if (count == 1 || excess > most) {
      most = excess;
      worst = i;
    }
  }
  if (count == 0) return {};
  return cat("element ", worst, " is ", a[worst], ", expected ", b[worst], "; ", count, " of ", a.size(),
             " elements differ");
}

int number_of(const fs::path& file) {  // "input_12.pb"
  const std::string stem = file.stem().string();
  const size_t at = stem.rfind('_');
  return at == std::string::npos ? -1 : std::atoi(stem.c_str() + at + 1);
}

std::vector<std::string> sorted_files(const fs::path& folder, const std::string& prefix) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string file = entry.path().filename().string();
    if (file.starts_with(prefix) && file.ends_with(".pb")) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return number_of(a) < number_of(b); });
  std::vector<std::string> out;
  for (const auto& file : files) out.push_back(file.string());
  return out;
}

// The data sets of a case: folders beside the model. Those of the big topologies have none: light_vgg19.onnx lies
// beside light_vgg19_output_0.pb.
struct Sets {
  std::vector<std::string> inputs, outputs;
};

std::vector<Sets> data_sets(const fs::path& model) {
  std::vector<Sets> sets;
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(model.parent_path())) {
    if (entry.is_directory() && entry.path().filename().string().starts_with("test_data_set"))
      folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  for (const auto& folder : folders) {
    sets.push_back({sorted_files(folder, "input_"), sorted_files(folder, "output_")});
  }
  if (folders.empty()) {
    const std::string output = (model.parent_path() / (model.stem().string() + "_output_0.pb")).string();
    sets.push_back({{}, file_exists(output) ? std::vector<std::string>{output} : std::vector<std::string>()});
  }
  return sets;
}

// The suite gives the big topologies no input files: their input is 0, 1/n, 2/n, ... in the declared shape.
HostValue ramp(const Declared& declared) {
  std::vector<int64_t> sizes = declared.sizes;
  for (int64_t& size : sizes) size = std::max<int64_t>(size, 1);
  const Shape shape(sizes);
  std::vector<double> values(static_cast<size_t>(shape.elements()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i) / static_cast<double>(values.size());
  return {declared.elem, Literal::from_doubles(formats::carrier(declared.elem), shape, values)};
}

// Cases whose expected values are themselves less exact than the suite's tolerance.
struct Exception {
  std::string_view path;
  double absolute;
  std::string_view why;
};
constexpr Exception kExceptions[] = {
    {"test_dft_inverse/", 1e-6, "the expected values carry rounding errors of 2e-7 around 0"},
    {"test_dft_inverse_opset19/", 1e-6, "the expected values carry rounding errors of 2e-7 around 0"},
    {"test_dynamicquantizelinear/", 1.0, "0.5 / (5 / 255) = 25.5 is a tie, and its rounding falls either way"},
    {"test_dynamicquantizelinear_expanded/", 1.0, "0.5 / (5 / 255) = 25.5 is a tie, and its rounding falls either way"},
};
const Exception* exception_of(const std::string& path) {
  for (const Exception& each : kExceptions) {
    if (path.find(each.path) != std::string::npos) return &each;
  }
  return nullptr;
}

}  // namespace

std::string difference(const HostValue& got, const HostValue& expected, double relative, double absolute) {
  const bool same_kind = got.kind == expected.kind && (got.kind != Kind::kTensor || got.elem == expected.elem);
  const bool same_shape = same_kind && (got.kind != Kind::kTensor || got.tensor.shape() == expected.tensor.shape()) &&
                          (got.kind != Kind::kText || got.text->shape == expected.text->shape) &&
                          got.items.size() == expected.items.size();
  if (!same_shape) return cat("is ", describe(got), ", expected ", describe(expected));
  if (got.kind == Kind::kText) {
    for (size_t i = 0; i < got.text->strings.size(); ++i) {
      if (got.text->strings[i] != expected.text->strings[i]) {
        return cat("string ", i, " is '", got.text->strings[i], "', expected '", expected.text->strings[i], "'");
      }
    }
  }
  if (got.kind == Kind::kTensor) return tensor_difference(got.tensor, expected.tensor, relative, absolute);
  for (size_t i = 0; i < got.items.size(); ++i) {
    const std::string inner = difference(got.items[i], expected.items[i], relative, absolute);
    if (!inner.empty()) return cat("item ", i, " ", inner);
  }
  return {};
}

namespace {

Outcome compare_case(const std::string& path) {
  formats::Session session(formats::onnx::Model::load(path));
  const auto& inputs = session.model().inputs();
  const auto& outputs = session.model().outputs();
  const Exception* exception = exception_of(path);
  const double absolute = exception == nullptr ? 1e-7 : exception->absolute;
  size_t compared = 0;
  for (const Sets& set : data_sets(path)) {
    std::map<std::string, HostValue> given;
    size_t next = 0;
    for (const Declared& declared : inputs) {  // files stand for the inputs in order; defaults have none
      if (next == set.inputs.size()) break;
      given.emplace(declared.name, formats::onnx::read_value(set.inputs[next++], declared));
    }
    if (set.inputs.empty() && !set.outputs.empty()) {
      for (const Declared& declared : inputs) {
        if (!declared.optional) given.emplace(declared.name, ramp(declared));
      }
    }
    const auto results = session.run(given);
    if (session.imported().random) {
      return {Verdict::kUnsupported, "draws random numbers, for which the suite expects one generator's values", 0.0};
    }
    for (size_t k = 0; k < set.outputs.size() && k < outputs.size(); ++k) {
      const HostValue expected = formats::onnx::read_value(set.outputs[k], outputs[k]);
      const std::string off = difference(results[k], expected, 1e-3, absolute);
      ++compared;
      if (!off.empty()) return {Verdict::kWrong, cat("output '", outputs[k].name, "' ", off), 0.0};
    }
  }
  if (compared == 0) return {Verdict::kUnsupported, "the case has no expected outputs", 0.0};
  return {Verdict::kPass, exception == nullptr ? "" : cat("tolerance ", absolute, ": ", exception->why), 0.0};
}

Outcome run_random(const std::string& path) {
  formats::Session session(formats::onnx::Model::load(path));
  std::map<std::string, HostValue> given;
  for (const Declared& declared : session.model().inputs()) {
    if (declared.optional) continue;
    given.emplace(declared.name, formats::random_input(declared, 2, 0, static_cast<uint32_t>(given.size())));
  }
  const auto results = session.run(given);
  const auto& outputs = session.model().outputs();
  std::string remark;
  for (size_t k = 0; k < outputs.size(); ++k) {
    const Declared& declared = outputs[k];
    if (declared.kind != Kind::kTensor || results[k].kind != Kind::kTensor) continue;
    const Shape& shape = results[k].tensor.shape();
    bool fits = results[k].elem == declared.elem &&
                (!declared.has_shape || declared.sizes.size() == static_cast<size_t>(shape.rank()));
    for (int a = 0; fits && declared.has_shape && a < shape.rank(); ++a) {
      const int64_t size = declared.sizes[static_cast<size_t>(a)];
      fits = size < 0 || size == shape[a];
    }
    if (!fits) {
      // Where a shape follows from what the inputs hold, random ones give another than the model's writer had.
      remark = cat("output '", declared.name, "' is ", describe(results[k]), ", declared ", declared.text());
    }
  }
  return {Verdict::kPass, remark, 0.0};
}

}  // namespace

Outcome run_onnx_case(const std::string& path) {
  return judged([&] { return compare_case(path); });
}

Outcome run_onnx_random(const std::string& path) {
  return judged([&] { return run_random(path); });
}

SuiteResult run_onnx_suite(const std::string& folder, const OnnxSuiteOptions& options) {
  SuiteResult result;
  std::vector<std::string> models;
  std::error_code failed;
  for (const auto& entry : fs::recursive_directory_iterator(folder, failed)) {
    if (!entry.is_regular_file() || entry.path().extension() != ".onnx") continue;
    const bool plain = entry.path().filename() == "model.onnx";
    std::string relative = fs::relative(plain ? entry.path().parent_path() : entry.path(), folder).string();
    if (relative.find(options.filter) == std::string::npos) continue;
    result.cases.push_back({relative, {}, {}});
  }
  if (failed || result.cases.empty()) {
    throw Error(Code::kNotFound, cat("no ONNX case in '", folder, "'",
                                     options.filter.empty() ? "" : cat(" with '", options.filter, "' in its path"),
                                     ": looked for model.onnx beside test_data_set_0"));
  }
  std::sort(result.cases.begin(), result.cases.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  for (const SuiteCase& each : result.cases) {
    const fs::path path = fs::path(folder) / each.path;
    models.push_back((fs::is_directory(path) ? path / "model.onnx" : path).string());
  }
  run_cases(
      result.cases, [&](size_t i) { return options.random ? run_onnx_random(models[i]) : run_onnx_case(models[i]); },
      options);
  for (size_t i = 0; i < models.size(); ++i) {
    try {
      result.cases[i].operators = formats::onnx::Model::load(models[i]).operators();
    } catch (const Error&) {
      result.cases[i].operators = {};  // a model that cannot be read counts for no operator
    }
  }
  return result;
}

}  // namespace trireme::certify
