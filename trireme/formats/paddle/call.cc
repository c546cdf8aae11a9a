#include "trireme/formats/paddle/call.h"

#include "trireme/base/strings.h"
#include "trireme/formats/paddle/importer.h"

namespace trireme::formats::paddle {

void Call::unsupported(const std::string& why) const { throw Error(Code::kUnsupported, why); }

void Call::invalid(const std::string& why) const { throw Error(Code::kInvalidArgument, why); }

// --- inputs ---

const Arguments* Call::find(const std::vector<Arguments>& list, std::string_view parameter) const {
  for (const Arguments& each : list) {
    if (each.parameter == parameter) return &each;
  }
  return nullptr;
}

int Call::count(std::string_view parameter) const {
  const Arguments* found = find(operation_->inputs, parameter);
  return found == nullptr ? 0 : static_cast<int>(found->variables.size());
}

Value Call::x(std::string_view parameter, int index) const {
  const Arguments* found = find(operation_->inputs, parameter);
  if (found == nullptr || index >= static_cast<int>(found->variables.size())) {
    invalid(cat("input '", parameter, "' is missing"));
  }
  return importer_->lookup(*scope_, found->variables[static_cast<size_t>(index)]);
}

std::vector<Value> Call::list(std::string_view parameter) const {
  std::vector<Value> out;
  for (int i = 0; i < count(parameter); ++i) out.push_back(x(parameter, i));
  require(!out.empty(), cat("input '", parameter, "' is missing"));
  return out;
}

int64_t Call::axis(int64_t axis, int64_t rank) const {
  require(axis >= -rank && axis < rank, cat("axis ", axis, " is not within ", -rank, " .. ", rank - 1));
  return axis < 0 ? axis + rank : axis;
}

Ints Call::axes(const Ints& axes, int64_t rank) const {
  Ints out;
  for (int64_t a : axes) out.push_back(axis(a, rank));
  return out;
}

Literal Call::known(const Value& value) const { return importer_->known(value); }

Ints Call::known_ints(std::string_view parameter) const {
  const Literal literal = known(x(parameter));
  Ints out(static_cast<size_t>(literal.elements()));
  convert_elements(literal.dtype(), literal.data(), i64, out.data(), literal.elements());
  return out;
}

std::vector<double> Call::known_numbers(std::string_view parameter) const { return known(x(parameter)).to_doubles(); }

std::optional<Literal> Call::constant(const Value& value) const {
  if (importer_->depends(value)) return std::nullopt;
  return importer_->fold(value);
}

// --- attributes ---

const Attribute* Call::find(std::string_view name) const {
  const auto at = operation_->attributes.find(name);
  return at == operation_->attributes.end() ? nullptr : &at->second;
}

void Call::mistyped(std::string_view name, std::string_view wanted) const {
  if (std::holds_alternative<VariableNames>(*find(name))) {
    unsupported(cat("attribute '", name, "' names a variable instead of a value"));
  }
  invalid(cat("attribute '", name, "' is no ", wanted));
}

bool Call::given(std::string_view name) const { return find(name) != nullptr; }

int64_t Call::integer(std::string_view name, int64_t missing) const {
  const Attribute* found = find(name);
  if (found == nullptr) return missing;
  const auto* value = std::get_if<int64_t>(found);
  if (value == nullptr) mistyped(name, "integer");
  return *value;
}

double Call::number(std::string_view name, double missing) const {
  const Attribute* found = find(name);
  if (found == nullptr) return missing;
  if (const auto* whole = std::get_if<int64_t>(found)) return static_cast<double>(*whole);
  const auto* value = std::get_if<double>(found);
  if (value == nullptr) mistyped(name, "number");
  return *value;
}

std::string Call::string(std::string_view name, std::string_view missing) const {
  const Attribute* found = find(name);
  if (found == nullptr) return std::string(missing);
  const auto* value = std::get_if<std::string>(found);
  if (value == nullptr) mistyped(name, "text");
  return *value;
}

Ints Call::integers(std::string_view name, const Ints& missing) const {
  const Attribute* found = find(name);
  if (found == nullptr) return missing;
  if (const auto* one = std::get_if<int64_t>(found)) return {*one};
  const auto* value = std::get_if<std::vector<int64_t>>(found);
  if (value == nullptr) mistyped(name, "list of integers");
  return *value;
}

std::vector<double> Call::numbers(std::string_view name) const {
  const Attribute* found = find(name);
  if (found == nullptr) return {};
  if (const auto* one = std::get_if<double>(found)) return {*one};
  if (const auto* whole = std::get_if<int64_t>(found)) return {static_cast<double>(*whole)};
  if (const auto* wholes = std::get_if<std::vector<int64_t>>(found)) return {wholes->begin(), wholes->end()};
  const auto* value = std::get_if<std::vector<double>>(found);
  if (value == nullptr) mistyped(name, "list of numbers");
  return *value;
}

DType Call::type(std::string_view name, DType missing) const {
  const int64_t number = integer(name, -1);
  return number < 0 ? missing : element_type(number);
}

Value Call::values(DType type) const {
  std::vector<double> list = numbers("values");
  for (const char* name : {"fp32_values", "fp64_values", "int32_values", "int64_values", "bool_values"}) {
    if (list.empty()) list = numbers(name);
  }
  const Shape shape(integers("shape", {static_cast<int64_t>(list.size())}));
  require(shape.elements() == static_cast<int64_t>(list.size()), cat(list.size(), " values for shape ", shape));
  return ops::constant(Literal::from_doubles(type, shape, list));
}

Ints Call::sizes(std::string_view tensor, std::string_view tensors, std::string_view attribute) const {
  if (!tensor.empty() && has(tensor)) return known_ints(tensor);
  if (!tensors.empty() && has(tensors)) {
    Ints out;
    for (const Value& each : list(tensors)) {
      require(each.shape().elements() == 1, cat("each of '", tensors, "' is one number; one has shape ", each.shape()));
      out.push_back(static_cast<int64_t>(known(each).at(0)));
    }
    return out;
  }
  return integers(attribute);
}

int64_t Call::size(std::string_view tensor, std::string_view attribute, int64_t missing) const {
  if (!has(tensor)) return integer(attribute, missing);
  const Ints list = known_ints(tensor);
  require(list.size() == 1, cat("input '", tensor, "' must have one element; it has ", list.size()));
  return list[0];
}

// --- branches ---

int64_t Call::block(std::string_view name) const {
  const Attribute* found = find(name);
  const auto* value = found == nullptr ? nullptr : std::get_if<BlockIndices>(found);
  if (value == nullptr || value->indices.size() != 1) invalid(cat("attribute '", name, "' must be one block"));
  return value->indices[0];
}

std::vector<Value> Call::build(int64_t block) const {
  Scope inner(scope_);
  return importer_->build(block, inner);
}

std::optional<std::vector<Value>> Call::close(int64_t block, Capture& capture) const {
  Scope inner(scope_);
  inner.capture = &capture;
  try {
    return importer_->build(block, inner);
  } catch (const Error& error) {
    if (error.code() != Code::kUnsupported && error.code() != Code::kInvalidArgument) throw;
    return std::nullopt;
  }
}

void Call::run(int64_t block) {
  Scope inner(scope_);
  importer_->build(block, inner);
  const Arguments* outputs = find(operation_->outputs, "Out");
  if (outputs == nullptr) return;
  for (const std::string& name : outputs->variables) {
    if (const Value made = inner.own(name)) scope_->set(name, made);
  }
}

// --- outputs ---

int Call::results(std::string_view parameter) const {
  const Arguments* found = find(operation_->outputs, parameter);
  return found == nullptr ? 0 : static_cast<int>(found->variables.size());
}

void Call::result(std::string_view parameter, const Value& value, int index) {
  if (index >= results(parameter)) return;  // nobody uses it
  const std::string& name = find(operation_->outputs, parameter)->variables[static_cast<size_t>(index)];
  scope_->set(name, importer_->folded_if_small(value));
}

// --- helpers ---

Shape broadcast_shape(const Call& call, const Shape& a, const Shape& b) {
  Shape out;
  if (!broadcast_shapes(a, b, &out)) call.invalid(cat("shapes ", a, " and ", b, " do not broadcast"));
  return out;
}

Channels::Channels(const Call& call, std::string_view attribute) {
  const std::string layout = call.string(attribute, "NCHW");
  last_ = layout == "NHWC" || layout == "NDHWC" || layout == "NLC";
  if (!last_ && layout != "NCHW" && layout != "NCDHW" && layout != "NCL" && layout != "AnyLayout" && layout != "ANY") {
    call.unsupported(cat("layout '", layout, "'; supported: NCHW, NHWC, NCDHW, NDHWC, NCL, NLC"));
  }
}

Value Channels::first(const Value& x) const {
  const int rank = x.shape().rank();
  if (!last_ || rank < 3) return x;
  Ints order = {0, rank - 1};
  for (int a = 1; a < rank - 1; ++a) order.push_back(a);
  return ops::transpose(x, order);
}

Value Channels::back(const Value& y) const {
  const int rank = y.shape().rank();
  return last_ && rank >= 3 ? ops::transpose(y, ops::axis_to_end(1, rank)) : y;
}

}  // namespace trireme::formats::paddle
