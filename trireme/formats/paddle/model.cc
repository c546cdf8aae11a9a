#include "trireme/formats/paddle/model.h"

#include <algorithm>
#include <filesystem>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/formats/paddle/importer.h"

namespace trireme::formats::paddle {

namespace {

namespace fs = std::filesystem;

Declared declare(const Program& program, const std::string& variable) {
  Declared out;
  out.name = variable;
  for (const Variable& each : program.blocks[0].variables) {
    if (each.name != variable || each.data_type < 0) continue;
    out.elem = elem_of(element_type(each.data_type));
    out.has_shape = true;
    out.sizes = each.sizes;
    out.size_names.resize(out.sizes.size());
  }
  return out;
}

// The operations of one type, by the column they feed or fetch.
std::vector<const Operation*> in_columns(const Program& program, std::string_view type) {
  std::vector<std::pair<int64_t, const Operation*>> found;
  for (const Operation& each : program.blocks[0].operations) {
    if (each.type != type) continue;
    const auto at = each.attributes.find("col");
    const auto* column = at == each.attributes.end() ? nullptr : std::get_if<int64_t>(&at->second);
    found.emplace_back(column == nullptr ? static_cast<int64_t>(found.size()) : *column, &each);
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<const Operation*> out;
  for (const auto& [column, operation] : found) out.push_back(operation);
  return out;
}

const std::string& only_variable(const std::vector<Arguments>& arguments, const Operation& operation,
                                 const std::string& source) {
  if (arguments.size() != 1 || arguments[0].variables.size() != 1) {
    throw Error(Code::kDataLoss, cat(source, ": a ", operation.type, " operation must name one variable"));
  }
  return arguments[0].variables[0];
}

void read_structure(Model::Impl& model) {
  for (const Operation* feed : in_columns(model.program, "feed")) {
    model.input_variables.push_back(only_variable(feed->outputs, *feed, model.source));
    model.inputs.push_back(declare(model.program, model.input_variables.back()));
    if (!model.inputs.back().has_shape) {
      throw Error(Code::kDataLoss, cat(model.source, ": input '", model.inputs.back().name, "' is declared no tensor"));
    }
  }
  std::vector<std::string> names;
  for (const Operation* fetch : in_columns(model.program, "fetch")) {
    model.output_variables.push_back(only_variable(fetch->inputs, *fetch, model.source));
    Declared declared = declare(model.program, model.output_variables.back());
    if (const auto name = fetch->attributes.find("name"); name != fetch->attributes.end()) {
      if (const auto* text = std::get_if<std::string>(&name->second)) declared.name = *text;
    }
    if (std::find(names.begin(), names.end(), declared.name) != names.end()) {
      declared.name = cat(declared.name, "#", names.size());  // fetched twice
    }
    names.push_back(declared.name);
    model.outputs.push_back(std::move(declared));
  }
  if (model.outputs.empty()) {
    throw Error(Code::kDataLoss, cat(model.source,
                                     ": nothing is fetched: no model saved for inference (paddle.jit.save, "
                                     "save_inference_model)"));
  }
}

Program read_any_program(std::span<const std::byte> bytes, const std::string& source) {
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  const std::string_view start = trim(std::string_view(text, std::min<size_t>(bytes.size(), 64)));
  return start.starts_with("{") ? read_pir_program(bytes, source) : read_program(bytes, source);
}

bool is_program(const std::string& path) { return path.ends_with(".pdmodel") || path.ends_with("__model__"); }

// The program files in a folder: that of an export before any other.
std::vector<std::string> programs_in(const std::string& folder) {
  std::vector<std::string> out;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    const std::string path = entry.path().string();
    if (is_program(path) || entry.path().filename() == "inference.json") out.push_back(path);
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::string program_of(const std::string& path) {
  std::error_code failed;
  if (!fs::is_directory(path, failed)) return path;
  const auto found = programs_in(path);
  if (found.size() == 1) return found[0];
  throw Error(found.empty() ? Code::kNotFound : Code::kInvalidArgument,
              cat("'", path, "' holds ", found.empty() ? "no Paddle model" : cat(found.size(), " Paddle models: "),
                  join(found, ", "), "; name one .pdmodel, __model__ or .json file"));
}

}  // namespace

bool is_model(const std::string& path) {
  std::error_code failed;
  if (fs::is_directory(path, failed)) return !programs_in(path).empty();
  return is_program(path) || path.ends_with(".json");
}

Model Model::parse(std::span<const std::byte> program, std::span<const std::byte> parameters,
                   const std::string& source) {
  auto impl = std::make_shared<Impl>();
  impl->source = source;
  impl->program = read_any_program(program, source);
  impl->parameters = read_combined_parameters(impl->program.parameters(), parameters, source);
  read_structure(*impl);
  Model out;
  out.impl_ = std::move(impl);
  return out;
}

Model Model::load(const std::string& given) {
  const std::string path = program_of(given);
  auto impl = std::make_shared<Impl>();
  impl->source = path;
  impl->program = read_any_program(MappedFile::open(path)->bytes(), path);
  read_structure(*impl);
  const std::vector<Variable> declared = impl->program.parameters();
  fs::path file(path);
  const std::string folder = file.has_parent_path() ? file.parent_path().string() : ".";
  const std::string combined =
      path.ends_with("__model__") ? folder + "/__params__" : file.replace_extension(".pdiparams").string();
  if (file_exists(combined)) {
    impl->parameters = read_combined_parameters(declared, MappedFile::open(combined)->bytes(), combined);
  } else if (path.ends_with("__model__")) {
    impl->parameters = read_separate_parameters(declared, folder);
  } else if (!declared.empty()) {
    throw Error(Code::kNotFound,
                cat("'", path, "' has ", declared.size(), " parameters; their file '", combined, "' does not exist"));
  }
  Model out;
  out.impl_ = std::move(impl);
  return out;
}

const std::vector<Declared>& Model::inputs() const { return impl_->inputs; }
const std::vector<Declared>& Model::outputs() const { return impl_->outputs; }

std::vector<std::string> Model::operators() const {
  std::vector<std::string> out;
  for (const Block& block : impl_->program.blocks) {
    for (const Operation& each : block.operations) {
      if (std::find(out.begin(), out.end(), each.type) == out.end()) out.push_back(each.type);
    }
  }
  return out;
}

Imported Model::import_graph(const std::vector<Binding>& inputs, const Evaluate& evaluate) const {
  return Importer(impl_, evaluate).import(inputs);
}

}  // namespace trireme::formats::paddle
