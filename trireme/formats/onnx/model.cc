#include "trireme/formats/onnx/model.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/formats/onnx/importer.h"
#include "trireme/formats/onnx/outline.h"

namespace trireme::formats::onnx {

namespace {

std::string main_domain(const std::string& domain) { return domain == "ai.onnx" ? "" : domain; }

Declared declare(const proto::ValueInfo& info) {
  Declared out;
  out.name = info.name();
  const proto::Type* type = &info.type();
  if (type->has_optional_type()) {
    out.kind = Kind::kNothing;
    type = &type->optional_type().elem_type();
  }
  if (type->has_sequence_type()) {
    if (out.kind == Kind::kTensor) out.kind = Kind::kSequence;
    while (type->has_sequence_type() || type->has_optional_type()) {
      type = type->has_optional_type() ? &type->optional_type().elem_type() : &type->sequence_type().elem_type();
    }
    out.elem = static_cast<Elem>(type->tensor_type().elem_type());
    return out;
  }
  out.elem = static_cast<Elem>(type->tensor_type().elem_type());
  if (out.kind != Kind::kNothing && out.elem == Elem::kString) out.kind = Kind::kText;
  out.has_shape = type->tensor_type().has_shape();
  for (const auto& dim : type->tensor_type().shape().dim()) {
    out.sizes.push_back(dim.has_dim_value() && dim.dim_value() >= 0 ? dim.dim_value() : -1);
    out.size_names.push_back(dim.dim_param());
  }
  return out;
}

void read_structure(Model::Impl& model) {
  const proto::Graph& graph = model.file.graph();
  for (const auto& each : model.file.opset_import()) model.opsets[main_domain(each.domain())] = each.version();
  for (const auto& function : model.file.functions()) {
    const std::string domain = main_domain(function.domain());
    std::string name = domain.empty() ? function.name() : cat(domain, "::", function.name());
    if (!function.overload().empty()) name += ":" + function.overload();
    model.functions[name] = &function;
  }
  std::map<std::string, bool> initialized;
  for (const auto& each : graph.initializer()) initialized[each.name()] = true;
  for (const auto& each : graph.sparse_initializer()) initialized[each.values().name()] = true;
  for (const auto& info : graph.input()) {
    model.inputs.push_back(declare(info));
    model.inputs.back().optional = initialized.contains(info.name());
  }
  for (const auto& info : graph.output()) model.outputs.push_back(declare(info));
}

void check(const Model::Impl& model, bool parsed) {
  if (!parsed) {
    throw Error(Code::kDataLoss, cat(model.source, ": no ONNX model, or one that was cut short"));
  }
  if (!model.file.has_graph()) throw Error(Code::kDataLoss, cat(model.source, ": the model has no graph"));
}

void parse_whole(Model::Impl& model, std::span<const std::byte> bytes) {
  check(model, bytes.size() <= INT32_MAX && model.file.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
}

void list_operators(const google::protobuf::RepeatedPtrField<proto::Node>& nodes, std::vector<std::string>& out,
                    int depth) {
  if (depth > 64) return;
  for (const auto& node : nodes) {
    const std::string domain = main_domain(node.domain());
    const std::string name = domain.empty() ? node.op_type() : cat(domain, "::", node.op_type());
    if (std::find(out.begin(), out.end(), name) == out.end()) out.push_back(name);
    for (const auto& attribute : node.attribute()) {
      if (attribute.has_g()) list_operators(attribute.g().node(), out, depth + 1);
    }
  }
}

}  // namespace

Model Model::load(const std::string& path) {
  auto impl = std::make_shared<Impl>();
  impl->source = path;
  impl->folder = std::filesystem::path(path).parent_path().string();
  if (impl->folder.empty()) impl->folder = ".";
  const auto file = MappedFile::open(path);
  if (const auto outline = outline_of(file->bytes())) {
    check(*impl, impl->file.ParseFromString(outline->bytes));
    const auto& initializers = impl->file.graph().initializer();
    for (int i = 0; i < initializers.size(); ++i) {
      const auto data = outline->raw_data[static_cast<size_t>(i)];
      if (!data.empty()) impl->in_file.emplace(&initializers.Get(i), data);
    }
    impl->weights = file;
  } else {
    parse_whole(*impl, file->bytes());
  }
  read_structure(*impl);
  Model out;
  out.impl_ = std::move(impl);
  return out;
}

Model Model::parse(std::span<const std::byte> bytes, const std::string& source, const std::string& folder) {
  auto impl = std::make_shared<Impl>();
  impl->source = source;
  impl->folder = folder;
  parse_whole(*impl, bytes);
  read_structure(*impl);
  Model out;
  out.impl_ = std::move(impl);
  return out;
}

HostValue Model::Impl::initializer(const proto::Tensor& tensor, const Origin& origin) const {
  const auto at = in_file.find(&tensor);
  if (at == in_file.end()) return to_value(tensor, origin);
  const std::lock_guard lock(mutex);
  HostValue& known = read[&tensor];
  if (known.kind == Kind::kNothing) {
    known = to_value(tensor, {source, folder, weights}, at->second);
    const bool copied = known.kind == Kind::kTensor && known.tensor.data() != at->second.data();
    if (copied) weights->let_go(at->second);
  }
  return known;
}

const std::vector<Declared>& Model::inputs() const { return impl_->inputs; }
const std::vector<Declared>& Model::outputs() const { return impl_->outputs; }

int64_t Model::opset() const {
  const auto at = impl_->opsets.find("");
  return at == impl_->opsets.end() ? 1 : at->second;
}

std::vector<std::string> Model::operators() const {
  std::vector<std::string> out;
  list_operators(impl_->file.graph().node(), out, 0);
  for (const auto& function : impl_->file.functions()) list_operators(function.node(), out, 0);
  return out;
}

Imported Model::import_graph(const std::vector<Binding>& inputs, const Evaluate& evaluate) const {
  return Importer(impl_, evaluate).import(inputs);
}

HostValue parse_value(std::string_view bytes, const std::string& source, const Declared& declared) {
  const Origin origin{source, {}, nullptr};
  const auto parse = [&](auto&& message) {
    if (bytes.size() > INT32_MAX || !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      throw Error(Code::kDataLoss, cat(source, ": no ", declared.text(), ", or one that was cut short"));
    }
    return to_value(message, origin);
  };
  if (declared.kind == Kind::kNothing) return parse(proto::Optional());
  if (declared.kind == Kind::kSequence) {
    HostValue out = parse(proto::Sequence());
    if (out.elem == Elem::kNone) out.elem = declared.elem;
    return out;
  }
  return parse(proto::Tensor());
}

HostValue read_value(const std::string& path, const Declared& declared) {
  return parse_value(read_file(path), path, declared);
}

}  // namespace trireme::formats::onnx
