#include "trireme/formats/stablehlo/call.h"

#include <algorithm>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/formats/stablehlo/importer.h"
#include "trireme/formats/stablehlo/literal.h"

namespace trireme::formats::stablehlo {

Call::Call(Importer& importer, Scope& scope, const Operation& operation)
    : importer_(&importer), scope_(&scope), operation_(&operation) {
  for (const Operand& operand : operation.operands) {
    inputs_.push_back(importer.lookup(scope, operand, operation.where()));
  }
  results_.resize(static_cast<size_t>(operation.result_count()));
}

bool Call::elementwise() const { return scope_->elementwise; }

void Call::unsupported(const std::string& why) const { throw Error(Code::kUnsupported, why); }
void Call::invalid(const std::string& why) const { throw Error(Code::kInvalidArgument, why); }

const Value& Call::x(int input) const {
  if (input >= inputs()) invalid(cat("has ", inputs(), " operands; number ", input + 1, " is needed"));
  return inputs_[static_cast<size_t>(input)];
}

std::optional<Literal> Call::constant(const Value& value) const { return importer_->constant(value); }

Literal Call::known(const Value& value) const {
  const auto found = constant(value);
  if (!found) unsupported("a shape follows from values that are known only when running");
  return *found;
}

Ints Call::known_ints(int input) const {
  const Literal literal = known(x(input));
  require(is_int(literal.dtype()), "an operand that gives sizes is not of integers");
  Ints out(static_cast<size_t>(literal.elements()));
  convert_elements(literal.dtype(), literal.data(), i64, out.data(), literal.elements());
  return out;
}

// --- attributes ---

bool Call::given(std::string_view name) const { return operation_->attributes.contains(std::string(name)); }

const Attribute& Call::attribute(std::string_view name) const {
  const auto at = operation_->attributes.find(std::string(name));
  if (at == operation_->attributes.end()) invalid(cat("attribute '", name, "' is missing"));
  return at->second;
}

int64_t Call::integer(std::string_view name) const {
  const Attribute& found = attribute(name);
  require(found.kind == Attribute::Kind::kInteger, cat("attribute '", name, "' is no integer"));
  return found.integer;
}

int64_t Call::integer(std::string_view name, int64_t missing) const { return given(name) ? integer(name) : missing; }

bool Call::flag(std::string_view name, bool missing) const {
  return given(name) ? attribute(name).integer != 0 : missing;
}

Ints Call::as_integers(const Attribute& attribute) const {
  Ints out;
  if (attribute.kind == Attribute::Kind::kDense) {
    const DenseValue value = decode(attribute.dense);
    require(is_int(value.literal.dtype()) || value.literal.dtype() == boolean, "an attribute is not of integers");
    require(value.shape.elements() <= 4096, "an attribute has more than 4096 integers");
    const Literal full = value.splat ? Literal::filled(i64, value.shape, value.literal.at(0)) : value.literal;
    out.resize(static_cast<size_t>(full.elements()));
    convert_elements(full.dtype(), full.data(), i64, out.data(), full.elements());
    return out;
  }
  require(attribute.kind == Attribute::Kind::kList, "an attribute is no list of integers");
  for (const Attribute& each : attribute.list) {
    if (each.kind == Attribute::Kind::kList) {
      const Ints inner = as_integers(each);
      out.insert(out.end(), inner.begin(), inner.end());
    } else {
      const bool truth = each.text == "true" || each.text == "false";
      require(each.kind == Attribute::Kind::kInteger || truth, "an attribute is no list of integers");
      out.push_back(each.integer);
    }
  }
  return out;
}

Ints Call::integers(std::string_view name) const { return as_integers(attribute(name)); }

Ints Call::integers(std::string_view name, const Ints& missing) const { return given(name) ? integers(name) : missing; }

Ints Call::integers_of(std::string_view pretty, std::string_view generic) const {
  return integers(given(pretty) ? pretty : generic);
}

std::string Call::string(std::string_view name) const {
  const Attribute& found = attribute(name);
  require(found.kind == Attribute::Kind::kText, cat("attribute '", name, "' is no word"));
  return found.text;
}

std::string Call::word(size_t place, std::string_view name) const {
  if (given(name)) return string(name);
  if (place < operation_->words.size()) return operation_->words[place];
  return {};
}

// --- regions ---

const Region& Call::region(int index) const {
  if (index >= regions()) invalid(cat("has ", regions(), " regions; number ", index + 1, " is needed"));
  return operation_->regions[static_cast<size_t>(index)];
}

std::string Call::simple_region(int index) const {
  if (regions() == 0 && operation_->words.size() > 1 && operation_->words[0] == "applies") return operation_->words[1];
  const Region& body = region(index);
  if (body.arguments.size() != 2 || body.operations.empty() || body.operations.size() > 2) return {};
  const Operation& end = body.operations.back();
  if (end.operands.size() != 1) return {};
  if (body.operations.size() == 1) {
    return end.operands[0].name == body.arguments[0].name   ? "first"
           : end.operands[0].name == body.arguments[1].name ? "second"
                                                            : "";
  }
  const Operation& op = body.operations[0];
  const bool plain = op.operands.size() == 2 && op.results.size() == 1 && end.operands[0].name == op.results[0].name &&
                     op.attributes.empty() && op.words.empty();
  if (!plain) return {};
  const bool in_order = op.operands[0].name == body.arguments[0].name && op.operands[1].name == body.arguments[1].name;
  const bool turned = op.operands[0].name == body.arguments[1].name && op.operands[1].name == body.arguments[0].name;
  static constexpr std::string_view commutative[] = {"stablehlo.add",     "stablehlo.multiply", "stablehlo.maximum",
                                                     "stablehlo.minimum", "stablehlo.and",      "stablehlo.or",
                                                     "stablehlo.xor"};
  const bool known = std::find(std::begin(commutative), std::end(commutative), op.name) != std::end(commutative);
  return known && (in_order || turned) ? op.name : "";
}

std::vector<Value> Call::apply(int index, const std::vector<Value>& arguments, bool elementwise) const {
  if (regions() == 0 && operation_->words.size() > 1 && operation_->words[0] == "applies") {
    unsupported(cat("a reduction by ", operation_->words[1], " is not supported"));
  }
  const Region& body = region(index);
  require(body.arguments.size() == arguments.size(),
          cat("region ", index, " has ", body.arguments.size(), " arguments; needed: ", arguments.size()));
  Scope inner(scope_);
  inner.elementwise = elementwise;
  for (size_t i = 0; i < arguments.size(); ++i) inner.set(body.arguments[i].name, {arguments[i]});
  return importer_->build(body, inner);
}

Closure Call::close(int index, const std::vector<Value>& arguments, bool elementwise) const {
  const Region& body = region(index);
  require(body.arguments.size() == arguments.size(),
          cat("region ", index, " has ", body.arguments.size(), " arguments; needed: ", arguments.size()));
  Scope inner(scope_);
  Scope::Capture capture;
  inner.capture = &capture;
  inner.elementwise = elementwise;
  std::vector<Value> parameters;
  for (size_t i = 0; i < arguments.size(); ++i) {
    parameters.push_back(parameter(arguments[i].dtype(), arguments[i].shape()));
    inner.set(body.arguments[i].name, {parameters.back()});
  }
  const std::vector<Value> outputs = importer_->build(body, inner);
  parameters.insert(parameters.end(), capture.parameters.begin(), capture.parameters.end());
  return {Graph(parameters, outputs), capture.outside};
}

std::vector<Value> Call::call(const std::string& function, const std::vector<Value>& arguments) const {
  return importer_->call(function, arguments, scope_->elementwise);
}

void Call::check(Check check) const {
  check.where = operation_->where();
  importer_->check(std::move(check));
}

// --- results ---

const Type& Call::type(int result) const {
  require(result < static_cast<int>(operation_->result_types.size()), "has fewer results than it needs");
  return operation_->result_types[static_cast<size_t>(result)];
}

DType Call::result_dtype(int result) const { return dtype_of(type(result)); }

void Call::result(int index, const Value& value) {
  if (index >= results()) invalid(cat("names ", results(), " results and gives ", index + 1, " or more"));
  results_[static_cast<size_t>(index)] = value;
}

}  // namespace trireme::formats::stablehlo
