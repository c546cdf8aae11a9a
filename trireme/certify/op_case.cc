#include "trireme/certify/op_case.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <stdexcept>

#include "trireme/base/strings.h"
#include "trireme/core/philox.h"
#include "trireme/ir/registry.h"
#include "trireme/ops/value.h"

namespace trireme::certify {

namespace {

class CaseParser {
 public:
  CaseParser(const OpDecl& op, std::string_view text, DType dtype, bool all_double)
      : text_(text), all_double_(all_double) {
    case_.op = &op;
    case_.text = std::string(trim(text));
    case_.dtype = dtype;
  }

  OpCase parse() {
    std::vector<bool> given;
    for (const AttributeSpec& spec : case_.op->attributes.list) {
      case_.attributes.push_back(spec.fallback);
      given.push_back(!spec.required);
    }
    for (const std::string& token : tokens()) {
      if (token == "surrogate") {
        case_.surrogate = true;
        continue;
      }
      const size_t equals = token.find('=');
      if (equals == std::string::npos) {
        operand(token);
        continue;
      }
      const std::string key = token.substr(0, equals);
      const int index = case_.op->attribute_index(key);
      if (index < 0) fail(cat("the op has no attribute '", key, "'"));
      const auto i = static_cast<size_t>(index);
      case_.attributes[i] = attribute(case_.op->attributes.list[i].kind, token.substr(equals + 1));
      given[i] = true;
    }
    for (size_t i = 0; i < given.size(); ++i) {
      if (!given[i]) fail(cat("the attribute '", case_.op->attributes.list[i].name, "' is required"));
    }
    while (!case_.operands.empty() && case_.operands.back().absent) case_.operands.pop_back();
    return std::move(case_);
  }

 private:
  // Words between spaces; brackets and quotes hold a word together.
  std::vector<std::string> tokens() const {
    std::vector<std::string> out;
    std::string word;
    int depth = 0;
    bool quoted = false;
    for (char c : text_) {
      if (c == ' ' && depth == 0 && !quoted) {
        if (!word.empty()) out.push_back(std::move(word));
        word.clear();
        continue;
      }
      if (c == '"') quoted = !quoted;
      if (c == '[') ++depth;
      if (c == ']') --depth;
      if (c != ' ' || quoted) word += c;
    }
    if (depth != 0 || quoted) fail("brackets or quotes do not close");
    if (!word.empty()) out.push_back(std::move(word));
    return out;
  }

  void operand(const std::string& token) {
    const auto& specs = case_.op->inputs.list;
    const size_t position = case_.operands.size();
    if (specs.empty() || (position >= specs.size() && specs.back().arity != Arity::kVariadic)) {
      fail(cat("more operands than the op has inputs: '", token, "'"));
    }
    const InputSpec& spec = specs[std::min(position, specs.size() - 1)];
    Operand out;
    if (token == "_") {
      if (spec.arity != Arity::kOptional) fail(cat("input ", spec.name, " is not optional"));
      out.absent = true;
      case_.operands.push_back(out);
      return;
    }
    const size_t open = token.find('['), close = token.find(']');
    if (open == std::string::npos || close == std::string::npos) fail(cat("'", token, "' is no operand"));
    const std::string type = token.substr(0, open);
    out.type.dtype = type.empty() ? default_type(spec, position) : parse_dtype(type);
    if (all_double_ && is_float(out.type.dtype)) out.type.dtype = f64;
    out.type.shape = Shape(integers(token.substr(open, close - open + 1)));
    out.low = spec.domain.low;
    out.high = spec.domain.high;
    const std::string rest = token.substr(close + 1);
    if (!rest.empty()) {
      const size_t dots = rest.find("..");
      if (rest[0] != ':' || dots == std::string::npos) fail(cat("'", rest, "' is no range like :0..4"));
      out.low = number<double>(rest.substr(1, dots - 1));
      out.high = number<double>(rest.substr(dots + 2));
      if (out.low > out.high) fail(cat("the range '", rest, "' is empty"));
    }
    case_.operands.push_back(out);
  }

  DType default_type(const InputSpec& spec, size_t position) {
    const bool bound = (spec.types.bits & same_as_first.bits) != 0;
    if (bound && position > 0 && !case_.operands[0].absent) return case_.operands[0].type.dtype;
    if (bound || spec.types.has(case_.dtype)) {
      case_.uses_dtype = true;
      return case_.dtype;
    }
    for (DType t : {f32, i32, i64, boolean, u32, f64, f16, bf16, i8, i16, u8, u16, u64}) {
      if (spec.types.has(t)) return t;
    }
    fail(cat("input ", spec.name, " allows no element type"));
  }

  Attribute attribute(AttributeKind kind, const std::string& value) const {
    switch (kind) {
      case AttributeKind::kInt: return number<int64_t>(value);
      case AttributeKind::kFloat: return number<double>(value);
      case AttributeKind::kBool:
        if (value != "true" && value != "false") fail(cat("'", value, "' is neither true nor false"));
        return value == "true";
      case AttributeKind::kString:
        if (value.size() < 2 || value.front() != '"' || value.back() != '"') fail(cat(value, " is no string"));
        return value.substr(1, value.size() - 2);
      case AttributeKind::kDType: return parse_dtype(value);
      case AttributeKind::kInts: return integers(value);
      default: fail("literals and graphs cannot be written in a case");
    }
  }

  Ints integers(const std::string& text) const {
    if (text.size() < 2 || text.front() != '[' || text.back() != ']') fail(cat("'", text, "' is no list like [1,2]"));
    Ints out;
    if (text.size() == 2) return out;
    for (const std::string& part : split(text.substr(1, text.size() - 2), ',')) out.push_back(number<int64_t>(part));
    return out;
  }

  template <class T>
  T number(const std::string& text) const {
    T out{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error != std::errc{} || end != text.data() + text.size()) fail(cat("'", text, "' is no number"));
    return out;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw std::invalid_argument(cat("op ", case_.op->id(), ", case \"", text_, "\": ", what));
  }

  std::string_view text_;
  bool all_double_;
  OpCase case_;
};

Literal draw(const Operand& operand, uint64_t seed) {
  const DType type = operand.type.dtype;
  std::vector<double> values(static_cast<size_t>(operand.type.shape.elements()));
  const double low = std::max(operand.low, lowest(type)), high = std::min(operand.high, highest(type));
  for (size_t i = 0; i < values.size(); ++i) {
    double& v = values[i];
    if (type == boolean) {
      v = uniform(seed, i, 0.0, 2.0) < 1.0 ? 0.0 : 1.0;
      continue;
    }
    v = uniform(seed, i, operand.low, operand.high);
    if (is_float(type)) {
      v = round_real(type, v);
      if (v < operand.low || v > operand.high) v = round_real(type, 0.5 * (operand.low + operand.high));
    } else {
      v = low > high ? 0.0 : std::clamp(std::nearbyint(v), std::ceil(low), std::max(std::ceil(low), std::floor(high)));
    }
  }
  return Literal::from_doubles(type, operand.type.shape, values);
}

}  // namespace

DType OpCase::leading_dtype() const {
  for (const Operand& operand : operands) {
    if (!operand.absent) return operand.type.dtype;
  }
  return instantiate(*this).graph().outputs()[0].dtype();
}

std::string OpCase::name() const { return cat(op->id(), " \"", text, "\" ", dtype); }

OpCase parse_case(const OpDecl& op, std::string_view text, DType dtype, bool all_double) {
  return CaseParser(op, text, dtype, all_double).parse();
}

std::vector<OpCase> cases_of(const OpDecl& op, std::string_view text) {
  std::vector<OpCase> out;
  for (DType t : kAllDTypes) {
    const auto& inputs = op.inputs.list;
    const bool bound = !inputs.empty() && (inputs[0].types.bits & same_as_first.bits) != 0;
    if (!inputs.empty() && !bound && !inputs[0].types.has(t)) continue;
    out.push_back(parse_case(op, text, t));
    if (!out.back().uses_dtype) break;
  }
  return out;
}

std::vector<OpCase> cases_of(const OpDecl& op) {
  std::vector<OpCase> out;
  for (std::string_view text : op.cases.texts) {
    for (OpCase& one : cases_of(op, text)) out.push_back(std::move(one));
  }
  return out;
}

Reject parse_reject(const OpDecl& op, std::string_view text) {
  const size_t colon = text.find(':');
  int rule = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + std::min(colon, text.size()), rule);
  if (colon == std::string_view::npos || error != std::errc{} || end != text.data() + colon) {
    throw std::invalid_argument(cat("op ", op.id(), ", reject \"", text, "\": it must begin with '<rule number>:'"));
  }
  auto cases = cases_of(op, text.substr(colon + 1));
  return {rule, std::move(cases.at(0))};
}

Instance instantiate(const OpCase& given, uint64_t seed) {
  Instance out;
  out.op = given.op;
  out.attributes = given.attributes;
  const uint64_t stream = seed_of(cat(given.op->id(), " ", given.text)) + seed * 0x9e3779b97f4a7c15ull;
  for (size_t i = 0; i < given.operands.size(); ++i) {
    const Operand& operand = given.operands[i];
    if (operand.absent) {
      out.operands.emplace_back();
      continue;
    }
    out.parameters.push_back(parameter(operand.type.dtype, operand.type.shape));
    out.operands.push_back(out.parameters.back());
    out.inputs.push_back(draw(operand, stream + i));
  }
  return out;
}

std::vector<const OpDecl*> registered_ops() {
  // A program that calls no op by its function would be linked without the generated registry.
  [[maybe_unused]] static const auto keep = ops::iota_axes(1);
  const auto ops = all_ops();
  return {ops.begin(), ops.end()};
}

double uniform(uint64_t seed, uint64_t index, double low, double high) {
  const std::array<uint32_t, 4> state{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), 0, 0};
  const uint64_t word =
      (static_cast<uint64_t>(philox_word(state, 2 * index)) << 32) | philox_word(state, 2 * index + 1);
  return low + (high - low) * (static_cast<double>(word >> 11) * 0x1p-53);
}

uint64_t seed_of(std::string_view text) { return hash_bytes(text.data(), text.size(), 1); }

}  // namespace trireme::certify
