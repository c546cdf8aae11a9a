#include "trireme/ir/op_decl.h"

#include <algorithm>

#include "trireme/base/strings.h"
#include "trireme/ir/registry.h"
#include "trireme/ir/text.h"

namespace trireme {

int OpDecl::attribute_index(std::string_view attribute) const {
  for (size_t i = 0; i < attributes.list.size(); ++i) {
    if (attributes.list[i].name == attribute) return static_cast<int>(i);
  }
  return -1;
}

const Attribute& AttributeReader::get(std::string_view name) const {
  const int index = op_->attribute_index(name);
  TRIREME_CHECK(index >= 0, cat("rule of op ", op_->id(), " asks for the undeclared attribute ", name));
  return attributes_[static_cast<size_t>(index)];
}

std::vector<int> Infer::axes(int number, const Ints& given, int rank) const {
  std::vector<int> out;
  if (given.empty()) {
    for (int i = 0; i < rank; ++i) out.push_back(i);
    return out;
  }
  for (int64_t a : given) out.push_back(axis(number, a, rank));
  std::sort(out.begin(), out.end());
  require(number, std::adjacent_find(out.begin(), out.end()) == out.end(), "an axis is named twice");
  return out;
}

void Infer::fail(int number, std::string_view hint) const {
  const std::string label = cat(op_->id(), "_c", number);
  std::string given;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const auto& specs = op_->inputs.list;
    append(given, cat(i ? ", " : "", specs[std::min(i, specs.size() - 1)].name, " = ",
                      inputs_[i] ? inputs_[i].type().text() : "absent"));
  }
  for (size_t i = 0; i < attributes_.size(); ++i) {
    const auto kind = kind_of(attributes_[i]);
    if (kind == AttributeKind::kLiteral || kind == AttributeKind::kGraph) continue;
    append(given, cat(given.empty() ? "" : ", ", op_->attributes.list[i].name, " = ", trireme::text(attributes_[i])));
  }
  const bool known = number >= 1 && number <= static_cast<int>(op_->rules.list.size());
  TRIREME_CHECK(known, cat("op ", op_->id(), " checks rule ", number, " which it does not declare"));
  throw Error(Code::kInvalidArgument,
              cat("[", label, "] ", op_->id(), ": ", op_->rules.list[static_cast<size_t>(number - 1)], "; given ",
                  given.empty() ? "no inputs" : given, hint.empty() ? "" : "; ", hint),
              label);
}

OpView::OpView(const Node& node) : AttributeReader(node.op(), node.attributes()), node_(&node) {}

Value Pullback::dy(int output) const {
  if (const Value& given = dy_[static_cast<size_t>(output)]) return given;
  const TensorType& type = node_->outputs()[static_cast<size_t>(output)];
  const Value zero =
      make_node(get_op("constant"), {}, {std::make_shared<const Literal>(Literal::zeros(type.dtype, Shape{}))});
  return make_node(get_op("broadcast_to"), {zero}, {type.shape.vector()});
}

int64_t Evaluation::integer(std::string_view n) const { return AttributeReader(*op_, attributes_).integer(n); }
double Evaluation::number(std::string_view n) const { return AttributeReader(*op_, attributes_).number(n); }
bool Evaluation::flag(std::string_view n) const { return AttributeReader(*op_, attributes_).flag(n); }
const std::string& Evaluation::string(std::string_view n) const {
  return std::get<std::string>(attributes_[static_cast<size_t>(op_->attribute_index(n))]);
}
DType Evaluation::type(std::string_view n) const { return AttributeReader(*op_, attributes_).type(n); }
const Ints& Evaluation::integers(std::string_view n) const {
  return std::get<Ints>(attributes_[static_cast<size_t>(op_->attribute_index(n))]);
}

Evaluated::Evaluated(const TensorType& t) : type(t) {
  if (floating()) real.resize(static_cast<size_t>(elements()));
  else integer.resize(static_cast<size_t>(elements()));
}

double Evaluated::as_double(int64_t index) const {
  const auto i = static_cast<size_t>(index);
  if (floating()) return real[i];
  return type.dtype == u64 ? static_cast<double>(static_cast<uint64_t>(integer[i])) : static_cast<double>(integer[i]);
}

int64_t wrap_integer(DType type, int64_t value) {
  return visit_dtype(type, [&]<class T>() -> int64_t {
    if constexpr (std::is_same_v<T, bool>) return value != 0;
    else if constexpr (std::is_integral_v<T>) return static_cast<int64_t>(static_cast<T>(value));
    else return value;
  });
}

double round_real(DType type, double value) {
  switch (type) {
    case f32: return static_cast<float>(value);
    case f16: return static_cast<double>(half_from_double(value));
    case bf16: return static_cast<double>(bfloat16_from_double(value));
    default: return value;
  }
}

void Evaluated::round() {
  if (type.dtype == f64) return;
  for (double& v : real) v = round_real(type.dtype, v);
  for (int64_t& v : integer) v = wrap_integer(type.dtype, v);
}

}  // namespace trireme
