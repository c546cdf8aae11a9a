#include "trireme/formats/onnx/call.h"

#include <algorithm>

#include "trireme/base/strings.h"
#include "trireme/formats/onnx/importer.h"

namespace trireme::formats::onnx {

namespace {

constexpr int kFloat = 1, kInt = 2, kString = 3, kTensor = 4, kGraph = 5, kFloats = 6, kInts = 7, kStrings = 8,
              kSparse = 11, kType = 13;

constexpr size_t kMaxTextBytes = size_t{1} << 26;

int type_of(const proto::Attribute& a) {
  if (a.type() != 0) return a.type();
  // Files of the first versions leave the type out.
  if (a.has_t()) return kTensor;
  if (a.has_g()) return kGraph;
  if (a.has_s()) return kString;
  if (a.has_f()) return kFloat;
  if (a.has_i()) return kInt;
  if (a.floats_size() > 0) return kFloats;
  if (a.strings_size() > 0) return kStrings;
  return kInts;
}

}  // namespace

Item Item::sequence(Elem elem, std::vector<Item> items) {
  Item out;
  out.kind = Kind::kSequence;
  out.elem = elem;
  out.items = std::move(items);
  return out;
}

Item Item::of_text(Text text) {
  Item out;
  out.kind = Kind::kText;
  out.elem = Elem::kString;
  out.text = std::make_shared<const Text>(std::move(text));
  return out;
}

Item constant_item(const HostValue& value) {
  Item out;
  out.kind = value.kind;
  out.elem = value.elem;
  out.text = value.text;
  if (value.kind == Kind::kTensor) out.value = ops::constant(value.tensor);
  for (const HostValue& each : value.items) out.items.push_back(constant_item(each));
  return out;
}

// --- messages ---

const std::string& Call::op() const { return node_->op_type(); }

std::string Call::text() const {
  return cat("node '", node_->name(), "' (", node_->op_type(), ", opset ", opset_, ")");
}

void Call::unsupported(const std::string& why) const { throw Error(Code::kUnsupported, why); }

void Call::invalid(const std::string& why) const { throw Error(Code::kInvalidArgument, why); }

// --- inputs ---

int Call::inputs() const { return node_->input_size(); }

bool Call::has(int input) const {
  if (input >= node_->input_size() || node_->input(input).empty()) return false;
  return item(input).kind != Kind::kNothing;
}

const Item& Call::item(int input) const {
  if (input >= node_->input_size() || node_->input(input).empty()) invalid(cat("input ", input, " is missing"));
  return importer_->lookup(*scope_, node_->input(input), text());
}

const Value& Call::x(int input) const {
  const Item& found = item(input);
  if (found.kind == Kind::kText) unsupported(cat("input ", input, " is text"));
  if (found.kind != Kind::kTensor) invalid(cat("input ", input, " is no tensor"));
  return found.value;
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

Ints Call::known_ints(int input) const {
  const Literal literal = known(input);
  Ints out(static_cast<size_t>(literal.elements()));
  convert_elements(literal.dtype(), literal.data(), i64, out.data(), literal.elements());
  return out;
}

int64_t Call::known_int(int input) const {
  const Ints list = known_ints(input);
  require(list.size() == 1, cat("input ", input, " must have one element; it has ", list.size()));
  return list[0];
}

std::vector<double> Call::known_numbers(int input) const { return known(input).to_doubles(); }

std::optional<Literal> Call::constant(const Value& value) const {
  if (importer_->depends(value)) return std::nullopt;
  return importer_->fold(value);
}

// --- attributes ---

const proto::Attribute* Call::find(std::string_view name) const {
  for (const auto& a : node_->attribute()) {
    if (a.name() == name) return &a;
  }
  return nullptr;
}

const proto::Attribute& Call::attribute(std::string_view name, int type) const {
  const proto::Attribute* found = find(name);
  if (found == nullptr) invalid(cat("attribute '", name, "' is missing"));
  const int has = type_of(*found);
  const bool empty_list = type >= kFloats && type <= kStrings && has == kInts && found->ints_size() == 0;
  if (has != type && !empty_list) {
    invalid(cat("attribute '", name, "' has type ", has, " where ", type, " is expected"));
  }
  return *found;
}

bool Call::given(std::string_view name) const { return find(name) != nullptr; }

int64_t Call::integer(std::string_view name) const { return attribute(name, kInt).i(); }
int64_t Call::integer(std::string_view name, int64_t missing) const { return given(name) ? integer(name) : missing; }

double Call::number(std::string_view name) const { return static_cast<double>(attribute(name, kFloat).f()); }
double Call::number(std::string_view name, double missing) const { return given(name) ? number(name) : missing; }

std::string Call::string(std::string_view name, std::string_view missing) const {
  return given(name) ? attribute(name, kString).s() : std::string(missing);
}

Ints Call::integers(std::string_view name, const Ints& missing) const {
  if (!given(name)) return missing;
  const auto& list = attribute(name, kInts).ints();
  return {list.begin(), list.end()};
}

std::vector<double> Call::numbers(std::string_view name) const {
  if (!given(name)) return {};
  const auto& list = attribute(name, kFloats).floats();
  return {list.begin(), list.end()};
}

std::vector<std::string> Call::strings(std::string_view name) const {
  if (!given(name)) return {};
  const auto& list = attribute(name, kStrings).strings();
  return {list.begin(), list.end()};
}

HostValue Call::tensor(std::string_view name) const {
  const proto::Attribute* found = find(name);
  if (found != nullptr && type_of(*found) == kSparse) return to_value(found->sparse_tensor(), importer_->origin());
  return to_value(attribute(name, kTensor).t(), importer_->origin());
}

Subgraph Call::subgraph(std::string_view name) const {
  const proto::Graph& graph = attribute(name, kGraph).g();
  return {&graph, graph.input_size(), graph.output_size()};
}

Elem Call::type_elem(std::string_view name) const {
  const proto::Type* type = &attribute(name, kType).tp();
  while (type->has_optional_type() || type->has_sequence_type()) {
    type = type->has_optional_type() ? &type->optional_type().elem_type() : &type->sequence_type().elem_type();
  }
  return static_cast<Elem>(type->tensor_type().elem_type());
}

// --- subgraphs ---

void Call::check(const Subgraph& graph, const std::vector<Item>& inputs) const {
  // A branch takes nothing. Some writers declare what it uses from outside as its inputs; those names are found there.
  if (inputs.empty()) return;
  require(static_cast<int>(inputs.size()) == graph.inputs,
          cat("its graph '", graph.graph->name(), "' takes ", graph.inputs, " inputs; it is given ", inputs.size()));
}

std::vector<Item> Call::build(const Subgraph& graph, const std::vector<Item>& inputs) const {
  check(graph, inputs);
  Scope inner(scope_);
  for (size_t i = 0; i < inputs.size(); ++i) inner.set(graph.graph->input(static_cast<int>(i)).name(), inputs[i]);
  return importer_->build(*graph.graph, inner);
}

std::optional<Closure> Call::close(const Subgraph& graph, const std::vector<Item>& inputs) const {
  check(graph, inputs);
  Scope inner(scope_);
  Scope::Capture capture;
  inner.capture = &capture;
  std::vector<Value> parameters;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].kind != Kind::kTensor) return std::nullopt;
    parameters.push_back(parameter(inputs[i].value.dtype(), inputs[i].value.shape()));
    inner.set(graph.graph->input(static_cast<int>(i)).name(), Item(inputs[i].elem, parameters.back()));
  }
  try {
    Closure out;
    std::vector<Value> outputs;
    for (const Item& item : importer_->build(*graph.graph, inner)) {
      if (item.kind != Kind::kTensor) return std::nullopt;
      outputs.push_back(item.value);
      out.elems.push_back(item.elem);
    }
    parameters.insert(parameters.end(), capture.parameters.begin(), capture.parameters.end());
    out.graph = Graph(parameters, outputs);
    out.captured = capture.outside;
    return out;
  } catch (const Error& error) {
    if (error.code() != Code::kUnsupported && error.code() != Code::kInvalidArgument) throw;
    return std::nullopt;
  }
}

Value Call::random_key(double seed) const { return importer_->random_key(seed); }

// --- outputs ---

int Call::outputs() const { return node_->output_size(); }

bool Call::wants(int output) const { return output < node_->output_size() && !node_->output(output).empty(); }

void Call::result(int output, Item item) {
  if (item.kind == Kind::kText) {  // which a few nodes could make as long as they like
    size_t bytes = 0;
    for (const std::string& each : item.text->strings) bytes += each.size() + sizeof(each);
    if (bytes > kMaxTextBytes) unsupported(cat("text of ", bytes, " bytes"));
  }
  if (wants(output)) scope_->set(node_->output(output), std::move(item));
}

// --- helpers ---

Shape broadcast_shape(const Call& call, std::initializer_list<Shape> shapes) {
  Shape out;
  for (const Shape& shape : shapes) {
    if (!broadcast_shapes(out, shape, &out)) call.invalid(cat("shapes ", out, " and ", shape, " do not broadcast"));
  }
  return out;
}

Value wrapped_indices(const Value& indices, int64_t size) {
  const Value whole = indices.dtype() == i64 || indices.dtype() == i32 ? indices : ops::convert(indices, i64);
  return ops::select(ops::compare(whole, 0.0, "lt"), whole + static_cast<double>(size), whole);
}

}  // namespace trireme::formats::onnx
