// Programs of Paddle 3 (PIR) in JSON: regions of blocks of operations, each value with a number.
//
// An operation is {"#": dialect and name, "A": attributes, "I": operands, "O": results, "regions": branches}. The
// dialects are 0 builtin, 1 operators, 2 control flow. A parameter is {"#": "p", "A": [.., .., .., name], "O": result}.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/formats/paddle/pir_names.h"
#include "trireme/formats/paddle/program.h"

namespace trireme::formats::paddle {

namespace {

using Json = nlohmann::json;

constexpr int64_t kVersion = 1;
constexpr int kMaxDepth = 64;

class Reader {
 public:
  explicit Reader(std::string source) : source_(std::move(source)) {}

  Program read(std::span<const std::byte> bytes) {
    const auto* text = reinterpret_cast<const char*>(bytes.data());
    const Json file = Json::parse(text, text + bytes.size(), nullptr, false);
    if (file.is_discarded()) damaged("no JSON, or one that was cut short");
    const Json& header = member(file, "base_code");
    if (member(header, "magic") != "pir") damaged("its base_code has no magic 'pir'");
    const int64_t version = integer(member(header, "version"));
    if (version != kVersion) {
      throw Error(Code::kUnsupported,
                  cat(source_, ": the program is of version ", version, "; version ", kVersion, " is supported"));
    }
    const Json& regions = list(member(file, "program"), "regions");
    if (regions.size() != 1) damaged(cat("a program has one region; this one has ", regions.size()));
    region(regions[0], 0);
    return std::move(program_);
  }

 private:
  [[noreturn]] void damaged(const std::string& why) const {
    throw Error(Code::kDataLoss, cat(source_, where_, ": ", why));
  }

  // --- JSON ---
  const Json& member(const Json& object, const char* name) const {
    if (!object.is_object() || !object.contains(name)) damaged(cat("'", name, "' is missing"));
    return object[name];
  }
  const Json& list(const Json& object, const char* name) const {
    const Json& out = member(object, name);
    if (!out.is_array()) damaged(cat("'", name, "' is no list"));
    return out;
  }
  const Json& entry(const Json& array, size_t index) const {
    if (!array.is_array() || index >= array.size()) damaged(cat("a list is shorter than ", index + 1));
    return array[index];
  }
  int64_t integer(const Json& value) const {
    if (!value.is_number_integer()) damaged(cat("a ", value.type_name(), " is no integer"));
    return value.get<int64_t>();
  }
  std::string text(const Json& value) const {
    if (!value.is_string()) damaged(cat("a ", value.type_name(), " is no text"));
    return value.get<std::string>();
  }

  // --- values ---
  std::string value_name(const Json& value) const {
    const std::string number = cat("%", integer(member(value, "%")));
    const auto at = names_.find(number);
    return at == names_.end() ? number : at->second;
  }
  void add_variable(const Json& value, const std::string& name, bool parameter) {
    if (!variables_.insert(name).second) damaged(cat("two values are called '", name, "'"));
    Variable out;
    out.name = name;
    out.parameter = parameter;
    const Json& type = member(value, "TT");
    if (text(member(type, "#")) == "0.t_dtensor") {
      const Json& description = member(type, "D");
      out.data_type = type_number(text(member(entry(description, 0), "#")));
      for (const Json& size : entry(description, 1)) out.sizes.push_back(std::max<int64_t>(integer(size), -1));
    }
    program_.blocks[0].variables.push_back(std::move(out));
  }
  int64_t type_number(const std::string& name) const {
    static const std::map<std::string, std::string> known = {
        {"0.t_bool", "bool"},   {"0.t_i16", "int16"},    {"0.t_i32", "int32"},   {"0.t_i64", "int64"},
        {"0.t_f16", "float16"}, {"0.t_f32", "float32"},  {"0.t_f64", "float64"}, {"0.t_ui8", "uint8"},
        {"0.t_i8", "int8"},     {"0.t_bf16", "bfloat16"}};
    const auto at = known.find(name);
    if (at == known.end()) throw Error(Code::kUnsupported, cat(source_, where_, ": element type '", name, "'"));
    return data_type_named(at->second);
  }

  // --- attributes ---
  Attribute attribute(const Json& type_and_data, int depth = 0) const {
    const std::string type = text(member(type_and_data, "#"));
    if (!type_and_data.contains("D")) return std::vector<int64_t>();
    const Json& data = type_and_data["D"];
    if (type == "1.a_dtype") {
      const int64_t number = data_type_named(text(data));
      if (number < 0) throw Error(Code::kUnsupported, cat(source_, where_, ": element type '", text(data), "'"));
      return number;
    }
    if (type == "1.a_intarray") return integers(data);
    if (data.is_boolean()) return int64_t{data.get<bool>()};
    if (data.is_number_integer() && type != "0.a_f32" && type != "0.a_f64") return data.get<int64_t>();
    if (data.is_number()) return data.get<double>();
    if (data.is_string()) return data.get<std::string>();
    if (type == "0.a_array" && data.is_array() && depth == 0) return array(data);
    return std::vector<int64_t>();  // a place: which device, which is chosen elsewhere
  }
  std::vector<int64_t> integers(const Json& data) const {
    std::vector<int64_t> out;
    if (!data.is_array()) damaged("a list of integers is no list");
    for (const Json& each : data) out.push_back(integer(each));
    return out;
  }
  Attribute array(const Json& data) const {
    std::vector<int64_t> whole;
    std::vector<double> numbers;
    for (const Json& each : data) {
      const Attribute one = attribute(each, 1);
      if (const auto* i = std::get_if<int64_t>(&one)) {
        whole.push_back(*i);
        numbers.push_back(static_cast<double>(*i));
      } else if (const auto* d = std::get_if<double>(&one)) {
        numbers.push_back(*d);
      }
    }
    if (whole.size() == data.size()) return whole;
    return numbers;
  }

  // --- operations ---
  // Its block becomes the next one of the program.
  void region(const Json& region, int depth) {
    if (depth > kMaxDepth) damaged(cat("regions lie more than ", kMaxDepth, " deep in one another"));
    const Json& blocks = list(region, "blocks");
    if (blocks.size() != 1) damaged(cat("a region has one block; this one has ", blocks.size()));
    const size_t block = program_.blocks.size();
    program_.blocks.emplace_back();
    int64_t index = 0;
    for (const Json& each : list(blocks[0], "ops")) {
      const std::string outer = std::exchange(where_, cat(": block ", block, ", op ", index));
      operation(each, block, index++, depth);
      where_ = outer;
    }
  }
  void operation(const Json& json, size_t block, int64_t index, int depth) {
    const std::string full = text(member(json, "#"));
    if (full == "p") {
      const Json& result = member(json, "O");
      const std::string name = text(entry(list(json, "A"), 3));
      names_[cat("%", integer(member(result, "%")))] = name;
      add_variable(result, name, true);
      return;
    }
    append(where_, cat(" (", full, ")"));
    Operation out;
    out.index = index;
    for (const Json& each : list(json, "A")) out.attributes[text(member(each, "N"))] = attribute(member(each, "AT"));
    std::vector<std::string> operands;
    for (const Json& each : list(json, "I"))
      operands.push_back(integer(member(each, "%")) == 0 ? "" : value_name(each));
    if (full == "0.combine" || full == "0.split") {
      group(json, full == "0.combine", operands);
      return;
    }
    if (full == "2.yield") {
      for (const std::string& each : operands) append_members(each, program_.blocks[block].results);
      return;
    }
    if (full == "1.data") {
      feed(json, out, block);
      return;
    }
    for (const Json& each : list(json, "O")) {
      if (member(member(each, "TT"), "#") == "0.t_vec") add_group(each);
      else add_variable(each, value_name(each), false);
    }
    if (full == "1.full_int_array") {
      constants_[value_name(entry(list(json, "O"), 0))] = out.attributes["value"];
      out.type = "assign_value";
      out.attributes["values"] = out.attributes["value"];
      out.outputs = {{"Out", results(json)}};
    } else if (full == "1.fetch") {
      out.type = "fetch";
      out.inputs = {{"X", operands}};
    } else if (full == "1.if") {
      branch(json, out, operands, depth);
    } else {
      translate(json, full, out, operands);
    }
    program_.blocks[block].operations.push_back(std::move(out));
  }
  std::vector<std::string> results(const Json& json) const {
    std::vector<std::string> out;
    for (const Json& each : list(json, "O")) append_members(value_name(each), out);
    return out;
  }
  void append_members(const std::string& name, std::vector<std::string>& out) const {
    const auto at = groups_.find(name);
    if (at == groups_.end()) out.push_back(name);
    else out.insert(out.end(), at->second.begin(), at->second.end());
  }
  // A list of values, as one: its members are named instead.
  void group(const Json& json, bool combine, const std::vector<std::string>& operands) {
    const Json& made = list(json, "O");
    if (combine) {
      groups_[value_name(entry(made, 0))] = operands;
      return;
    }
    std::vector<std::string> members;
    for (const std::string& each : operands) append_members(each, members);
    if (members.size() != made.size()) damaged(cat(members.size(), " values are split into ", made.size()));
    for (size_t i = 0; i < members.size(); ++i) names_[cat("%", integer(member(made[i], "%")))] = members[i];
  }
  void add_group(const Json& value) {
    std::vector<std::string>& members = groups_[value_name(value)];
    const Json& types = member(member(value, "TT"), "D");
    for (size_t i = 0; i < types.size(); ++i) members.push_back(cat(value_name(value), "[", i, "]"));
  }
  void feed(const Json& json, Operation out, size_t block) {
    if (block != 0) damaged("an input inside a branch");
    const Json& result = entry(list(json, "O"), 0);
    const auto* name = std::get_if<std::string>(&out.attributes["name"]);
    if (name == nullptr || name->empty()) damaged("an input has no name");
    names_[cat("%", integer(member(result, "%")))] = *name;
    add_variable(result, *name, false);
    out.type = "feed";
    out.outputs = {{"Out", {*name}}};
    program_.blocks[0].operations.push_back(std::move(out));
  }
  void branch(const Json& json, Operation& out, const std::vector<std::string>& operands, int depth) {
    const Json& regions = list(json, "regions");
    if (regions.size() != 2) damaged(cat("an 'if' has two regions; this one has ", regions.size()));
    out.type = "if";
    out.inputs = {{"Cond", operands}};
    out.outputs = {{"Out", results(json)}};
    for (size_t k = 0; k < 2; ++k) {
      out.attributes[k == 0 ? "then" : "else"] = BlockIndices{{static_cast<int64_t>(program_.blocks.size())}};
      region(regions[k], depth + 1);
    }
  }
  void translate(const Json& json, const std::string& full, Operation& out, const std::vector<std::string>& operands) {
    const PirName* known = full.starts_with("1.") ? find_pir_name(full.substr(2)) : nullptr;
    if (known == nullptr) {  // refused by this name when the model is imported
      out.type = full.starts_with("1.") ? cat("pd_op.", full.substr(2)) : full;
      out.outputs = {{"Out", results(json)}};
      return;
    }
    out.type = known->type;
    const auto words = [](std::string_view list) {
      return list.empty() ? std::vector<std::string>() : split(list, ' ');
    };
    for (const std::string& pair : words(known->attributes)) {
      const size_t equals = pair.find('=');
      const auto at = out.attributes.find(pair.substr(0, equals));
      if (at != out.attributes.end()) out.attributes[pair.substr(equals + 1)] = at->second;
    }
    const auto inputs = words(known->inputs), outputs = words(known->outputs);
    if (operands.size() > inputs.size())
      damaged(cat(operands.size(), " operands; at most ", inputs.size(), " are known"));
    for (size_t i = 0; i < operands.size(); ++i) {
      if (operands[i].empty()) continue;
      if (inputs[i][0] != '@') {
        append_members(operands[i], out.inputs.emplace_back(Arguments{inputs[i], {}}).variables);
        continue;
      }
      const auto at = constants_.find(operands[i]);
      if (at == constants_.end())
        throw Error(Code::kUnsupported, cat(source_, where_, ": operand ", i, " is no constant"));
      out.attributes[inputs[i].substr(1)] = at->second;
    }
    const Json& made = list(json, "O");
    for (size_t i = 0; i < std::min(made.size(), outputs.size()); ++i) {
      append_members(value_name(made[i]), out.outputs.emplace_back(Arguments{outputs[i], {}}).variables);
    }
    if (full == "1.full") constants_[value_name(entry(made, 0))] = number_of(out);
  }
  // What `full` holds: an integer where its type is one, though the file has a number.
  static Attribute number_of(const Operation& full) {
    const auto type = full.attributes.find("dtype"), value = full.attributes.find("value");
    if (value == full.attributes.end()) return int64_t{0};
    const auto* number = std::get_if<double>(&value->second);
    const auto* code = type == full.attributes.end() ? nullptr : std::get_if<int64_t>(&type->second);
    const bool whole = number != nullptr && *number == std::trunc(*number) && std::abs(*number) < 0x1p53;
    if (whole && code != nullptr && !is_float(element_type(*code))) return static_cast<int64_t>(*number);
    return value->second;
  }

  std::string source_, where_;
  Program program_;
  std::map<std::string, std::string> names_;                // of values that have one besides their number
  std::map<std::string, std::vector<std::string>> groups_;  // lists of values, by name
  std::map<std::string, Attribute> constants_;              // values that may become attributes
  std::set<std::string> variables_;
};

}  // namespace

Program read_pir_program(std::span<const std::byte> bytes, const std::string& source) {
  return Reader(source).read(bytes);
}

}  // namespace trireme::formats::paddle
