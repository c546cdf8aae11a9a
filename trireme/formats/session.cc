#include "trireme/formats/session.h"

#include <algorithm>
#include <cmath>

#include "trireme/base/strings.h"
#include "trireme/core/philox.h"
#include "trireme/tensor/tensor.h"

namespace trireme::formats {

namespace {

void check(const Declared& declared, const HostValue& value) {
  const auto refuse = [&](const std::string& what) {
    throw Error(Code::kInvalidArgument,
                cat("input '", declared.name, "' is declared ", declared.text(), "; it is given ", what));
  };
  if (declared.kind == Kind::kNothing) return;
  if (value.kind != declared.kind) refuse(value.kind == Kind::kTensor ? "a tensor" : "something else");
  if (value.kind != Kind::kTensor) return;
  const Shape& shape = value.tensor.shape();
  bool fits =
      value.elem == declared.elem && (!declared.has_shape || shape.rank() == static_cast<int>(declared.sizes.size()));
  for (int a = 0; fits && declared.has_shape && a < shape.rank(); ++a) {
    const int64_t size = declared.sizes[static_cast<size_t>(a)];
    fits = size < 0 || size == shape[a];
  }
  if (!fits) refuse(cat(name(value.elem), shape));
}

void describe(const HostValue& value, std::string& out) {
  append(out, cat(static_cast<int>(value.kind), ":", static_cast<int>(value.elem)));
  if (value.kind == Kind::kTensor) append(out, value.tensor.shape());
  if (value.kind == Kind::kText) {
    append(out, value.text->shape);
    for (const std::string& each : value.text->strings) append(out, cat(each.size(), " ", each));
  }
  append(out, '(');
  for (const HostValue& each : value.items) describe(each, out);
  append(out, ')');
}

void flatten(const HostValue& value, std::vector<Literal>& tensors) {
  if (value.kind == Kind::kTensor) tensors.push_back(value.tensor);
  for (const HostValue& each : value.items) flatten(each, tensors);
}

HostValue assemble(const Layout& layout, const std::vector<Literal>& outputs) {
  HostValue out;
  out.kind = layout.kind;
  out.elem = layout.elem;
  out.text = layout.text;
  if (layout.kind == Kind::kTensor) out.tensor = outputs[layout.output];
  for (const Layout& each : layout.items) out.items.push_back(assemble(each, outputs));
  return out;
}

Compiled function_of(const Graph& graph) {
  return Compiled([graph](const std::vector<Tensor>& inputs) { return trireme::run(graph, inputs); });
}

std::vector<Tensor> uploaded(std::span<const Literal> literals) {
  std::vector<Tensor> out;
  for (const Literal& each : literals) out.emplace_back(each);
  return out;
}

std::vector<Literal> read(const std::vector<Tensor>& tensors) {
  std::vector<Literal> out;
  for (const Tensor& each : tensors) out.push_back(each.literal());
  return out;
}

}  // namespace

std::vector<Literal> compute(const Graph& graph, std::span<const Literal> inputs) {
  const auto outputs = trireme::run(graph, uploaded(inputs));
  eval(outputs);
  return read(outputs);
}

Session::Kept::Kept(Imported i) : imported(std::move(i)), graph(function_of(imported.graph)) {
  for (const Guard& guard : imported.guards) guards.push_back(function_of(guard.graph));
}

bool Session::Kept::holds(const std::vector<Literal>& tensors) const {
  for (size_t g = 0; g < guards.size(); ++g) {
    const Guard& guard = imported.guards[g];
    const auto& inputs = guard.graph.inputs();
    const auto at = std::find(inputs.begin(), inputs.end(), guard.graph.outputs()[0]);
    const Literal value = at != inputs.end() ? tensors[static_cast<size_t>(at - inputs.begin())]
                                             : guards[g](uploaded(tensors))[0].literal();
    if (!value.same_bytes(guard.value)) return false;
  }
  return true;
}

const Session::Kept& Session::find_or_import(const std::vector<HostValue>& values, const std::vector<bool>& given,
                                             const std::vector<Literal>& tensors) {
  std::string key;
  for (size_t i = 0; i < values.size(); ++i) {
    if (given[i]) describe(values[i], key);
    append(key, ';');
  }
  for (const Kept& each : graphs_[key]) {
    if (each.holds(tensors)) return each;
  }
  std::vector<Binding> bindings;
  for (size_t i = 0; i < values.size(); ++i) bindings.push_back(given[i] ? Binding(values[i]) : Binding());
  ++imports_;
  graphs_[key].emplace_back(model_->import(bindings, compute));
  return graphs_[key].back();
}

std::vector<HostValue> Session::run(const std::map<std::string, HostValue>& inputs) {
  std::vector<HostValue> values;
  std::vector<bool> given;
  std::vector<Literal> tensors;
  std::vector<std::string> names;
  for (const Declared& declared : model_->inputs()) {
    names.push_back(declared.name);
    const auto at = inputs.find(declared.name);
    given.push_back(at != inputs.end());
    values.push_back(given.back() ? at->second : HostValue());
    if (!given.back()) continue;
    check(declared, values.back());
    flatten(values.back(), tensors);
  }
  for (const auto& [name, value] : inputs) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    const std::string near = nearest_name(name, names);
    throw Error(Code::kNotFound, cat("the model has no input '", name, "'; ",
                                     near.empty() ? "it has: " + join(names, ", ") : "did you mean '" + near + "'?"));
  }
  last_ = &find_or_import(values, given, tensors);
  const std::vector<Literal> outputs = read(last_->graph(uploaded(tensors)));
  std::vector<HostValue> out;
  for (const Layout& layout : last_->imported.layouts) out.push_back(assemble(layout, outputs));
  return out;
}

HostValue random_input(const Declared& declared, int64_t free, uint64_t seed, uint32_t stream) {
  if (declared.kind == Kind::kNothing) return {};
  if (declared.kind != Kind::kTensor || !declared.has_shape) {
    throw Error(Code::kUnsupported,
                cat("input '", declared.name, "' is declared ", declared.text(), ": give it, it cannot be made up"));
  }
  std::vector<int64_t> sizes = declared.sizes;
  for (int64_t& size : sizes) size = size < 0 ? free : size;
  const Shape shape(sizes);
  if (shape.elements() > (int64_t{1} << 32)) {
    throw Error(Code::kInvalidArgument, cat("input '", declared.name, "' would have ", shape.elements(), " elements"));
  }
  const DType type = carrier(declared.elem);
  const double most = is_narrow(declared.elem) ? 2.0 : 8.0;
  std::vector<double> values(static_cast<size_t>(shape.elements()));
  for (size_t i = 0; i < values.size(); ++i) {
    const uint32_t word = philox_word({static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), stream, 0}, i);
    values[i] = is_float(type) ? word * 0x1p-31 - 1.0 : type == boolean ? word % 2 : std::fmod(word, most);
  }
  return {declared.elem, Literal::from_doubles(type, shape, values)};
}

const Imported& Session::imported() const {
  if (last_ == nullptr) throw Error(Code::kInvalidArgument, "a session has a graph only after its first run");
  return last_->imported;
}

}  // namespace trireme::formats
