#include "trireme/ir/text.h"

#include <cctype>
#include <charconv>
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "trireme/base/strings.h"
#include "trireme/ir/op_decl.h"
#include "trireme/ir/registry.h"

namespace trireme {

namespace {

constexpr std::string_view kHeader = "graph trireme/1 {";

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') out += "\\n";
    else out += c;
  }
  return out + "\"";
}

// A double that always reads back as a double: "1" becomes "1.0".
std::string real_text(double value) {
  std::string out = number_text(value);
  if (std::isfinite(value) && out.find_first_of(".e") == std::string::npos) out += ".0";
  return out;
}

constexpr char kHexDigits[] = "0123456789abcdef";

// Small literals print as numbers, long or non-finite ones as the bytes in hexadecimal.
std::string literal_text(const Literal& literal) {
  std::string out = cat(literal.dtype(), literal.shape(), " ");
  bool plain = literal.elements() <= 64;
  for (int64_t i = 0; plain && i < literal.elements(); ++i) plain = std::isfinite(literal.at(i));
  if (plain) return literal.text(64);
  out += "x\"";
  const auto* bytes = static_cast<const unsigned char*>(literal.data());
  for (size_t i = 0; i < literal.bytes(); ++i) {
    out += kHexDigits[bytes[i] >> 4];
    out += kHexDigits[bytes[i] & 15];
  }
  return out + "\"";
}

std::string indented(const std::string& text, int depth) {
  std::string out;
  for (char c : text) {
    out += c;
    if (c == '\n') out.append(static_cast<size_t>(depth) * 2, ' ');
  }
  return out;
}

class Printer {
 public:
  std::string print(const Graph& graph) {
    std::string out(kHeader);
    out += "\n";
    const auto order = graph.nodes();
    for (size_t i = 0; i < order.size(); ++i) number_[order[i]] = i;
    size_t input = 0;
    std::unordered_map<const Node*, size_t> inputs;
    for (const Value& v : graph.inputs()) inputs[&v.node()] = input++;
    for (const Node* node : order) {
      out += cat("  %", number_.at(node), " = ", node->name());
      if (node->is("parameter")) {
        out += cat(" ", node->outputs()[0]);
        const auto at = inputs.find(node);
        if (at != inputs.end() && !graph.input_names().empty()) out += " " + quoted(graph.input_names()[at->second]);
        out += "\n";
        continue;
      }
      out += "(";
      for (size_t i = 0; i < node->inputs().size(); ++i) out += (i ? ", " : "") + value(node->inputs()[i]);
      out += ")";
      if (!node->attributes().empty()) {
        out += " {";
        for (size_t i = 0; i < node->attributes().size(); ++i) {
          out +=
              cat(i ? ", " : "", node->op().attributes.list[i].name, " = ", indented(text(node->attributes()[i]), 1));
        }
        out += "}";
      }
      out += "\n";
    }
    out += "  return";
    for (size_t i = 0; i < graph.outputs().size(); ++i) {
      out += (i ? ", " : " ") + value(graph.outputs()[i]);
      if (!graph.output_names().empty()) out += " " + quoted(graph.output_names()[i]);
    }
    return out + "\n}\n";
  }

 private:
  std::string value(const Value& v) {
    if (!v) return "_";
    const std::string base = cat("%", number_.at(&v.node()));
    return v.node().outputs().size() == 1 ? base : cat(base, ".", v.index());
  }
  std::unordered_map<const Node*, size_t> number_;
};

// Recursive descent over the grammar in docs/guide/graph-text.md.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Graph whole() {
    Graph graph = graph_body();
    skip_space();
    if (at_ != text_.size()) fail("text after the closing brace");
    return graph;
  }

 private:
  static constexpr int kMaxNesting = 64;

  Graph graph_body() {
    if (++depth_ > kMaxNesting) fail("graphs are nested deeper than 64");
    for (std::string_view word : {"graph", "trireme", "/", "1", "{"}) expect(word);
    std::unordered_map<std::string, Value> values;
    std::vector<Value> inputs, outputs;
    std::vector<std::string> input_names, output_names;
    while (!peek("return")) {
      expect("%");
      const std::string id = digits();
      expect("=");
      skip_space();
      const size_t op_at = at_;
      const std::string op_name = identifier();
      Value first;
      if (op_name == "parameter") {
        const DType dtype = parse_type();
        const size_t shape_at = at_;
        const Ints sizes = ints();
        first = located(shape_at, [&] { return parameter(dtype, sizes); });
        inputs.push_back(first);
        if (peek("\"")) input_names.push_back(string());
      } else {
        first = node(op_name, op_at, values);
      }
      if (!values.emplace(id, first).second) fail(cat("%", id, " is defined twice"));
    }
    expect("return");
    if (!peek("}")) {
      do {
        outputs.push_back(value(values));
        if (peek("\"")) output_names.push_back(string());
      } while (accept(","));
    }
    expect("}");
    --depth_;
    if (!input_names.empty() && input_names.size() != inputs.size()) fail("name all inputs or none");
    if (!output_names.empty() && output_names.size() != outputs.size()) fail("name all outputs or none");
    for (const auto* names : {&input_names, &output_names}) {
      std::unordered_set<std::string> seen;
      for (const std::string& each : *names) {
        if (!seen.insert(each).second) fail(cat("the name \"", each, "\" is given twice"));
      }
    }
    return {std::move(inputs), std::move(outputs), std::move(input_names), std::move(output_names)};
  }

  Value node(const std::string& op_name, size_t op_at, const std::unordered_map<std::string, Value>& values) {
    const OpDecl* op = find_op(op_name);
    if (op == nullptr) located(op_at, [&] { get_op(op_name); });  // throws, naming the nearest op
    std::vector<Value> inputs;
    expect("(");
    if (!peek(")")) {
      do inputs.push_back(accept("_") ? Value{} : value(values));
      while (accept(","));
    }
    expect(")");
    std::vector<Attribute> attributes;
    std::vector<bool> given;
    for (const AttributeSpec& spec : op->attributes.list) {
      attributes.push_back(spec.fallback);
      given.push_back(!spec.required);
    }
    if (accept("{")) {
      if (!peek("}")) {
        do {
          const std::string key = identifier();
          const int index = op->attribute_index(key);
          if (index < 0) {
            std::vector<std::string_view> known;
            for (const auto& spec : op->attributes.list) known.push_back(spec.name);
            const std::string near = nearest_name(key, known);
            fail(cat("op ", op_name, " has no attribute '", key, "'",
                     near.empty() ? "" : "; did you mean '" + near + "'?"));
          }
          expect("=");
          attributes[static_cast<size_t>(index)] = attribute(op->attributes.list[static_cast<size_t>(index)].kind);
          given[static_cast<size_t>(index)] = true;
        } while (accept(","));
      }
      expect("}");
    }
    for (size_t i = 0; i < given.size(); ++i) {
      if (given[i]) continue;
      at_ = op_at;
      fail(cat("op ", op_name, " needs the attribute '", op->attributes.list[i].name, "'"));
    }
    return located(op_at, [&] { return make_node(*op, std::move(inputs), std::move(attributes)); });
  }

  Attribute attribute(AttributeKind kind) {
    switch (kind) {
      case AttributeKind::kInt: return integer();
      case AttributeKind::kFloat: return real();
      case AttributeKind::kBool:
        if (accept("true")) return true;
        expect("false");
        return false;
      case AttributeKind::kString: return string();
      case AttributeKind::kDType: return parse_type();
      case AttributeKind::kInts: return ints();
      case AttributeKind::kLiteral: return std::make_shared<const Literal>(literal());
      case AttributeKind::kGraph: return std::make_shared<const Graph>(graph_body());
    }
    fail("unknown attribute kind");
  }

  Literal literal() {
    const DType dtype = parse_type();
    const size_t shape_at = at_;
    const Ints sizes = ints();
    const Shape shape = located(shape_at, [&] { return Shape(sizes); });
    if (accept("x\"")) {
      const size_t bytes = static_cast<size_t>(shape.elements()) * size_of(dtype);
      if (text_.size() - at_ < 2 * bytes + 1) fail("literal shorter than its shape says");
      Literal out = Literal::zeros(dtype, shape);
      auto* to = static_cast<unsigned char*>(out.mutable_data());
      for (size_t i = 0; i < bytes; ++i) {
        to[i] = static_cast<unsigned char>(hex_digit(text_[at_]) * 16 + hex_digit(text_[at_ + 1]));
        if (dtype == boolean && to[i] > 1) fail("a bool byte is 00 or 01");
        at_ += 2;
      }
      if (text_[at_++] != '"') fail("literal longer than its shape says");
      return out;
    }
    expect("{");
    if (shape.elements() > static_cast<int64_t>(text_.size())) fail("literal shorter than its shape says");
    std::vector<double> reals;
    std::vector<int64_t> whole;
    const bool floating = is_float(dtype);
    if (!peek("}")) {
      do {
        if (floating) reals.push_back(real());
        else whole.push_back(dtype == u64 ? unsigned_integer() : integer());
      } while (accept(","));
    }
    expect("}");
    if (static_cast<int64_t>(floating ? reals.size() : whole.size()) != shape.elements()) {
      fail("literal and shape differ in the number of elements");
    }
    if (floating) return Literal::from_doubles(dtype, shape, reals);
    Literal out = Literal::zeros(dtype, shape);
    convert_elements(i64, whole.data(), dtype, out.mutable_data(), out.elements());
    return out;
  }

  int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    fail("expected a hexadecimal digit");
  }

  Value value(const std::unordered_map<std::string, Value>& values) {
    expect("%");
    const std::string id = digits();
    const auto found = values.find(id);
    if (found == values.end()) fail(cat("%", id, " is used before it is defined"));
    uint32_t index = 0;
    if (at_ < text_.size() && text_[at_] == '.') {
      ++at_;
      const std::string number = digits();
      if (number.size() > 4) fail("output number too large");
      index = static_cast<uint32_t>(std::stoul(number));
    }
    if (index >= found->second.node().outputs().size()) fail(cat("%", id, " has no output ", index));
    return Value(found->second.node(), index);
  }

  Ints ints() {
    Ints out;
    expect("[");
    if (!peek("]")) {
      do out.push_back(integer());
      while (accept(","));
    }
    expect("]");
    return out;
  }

  DType parse_type() {
    skip_space();
    const size_t type_at = at_;
    const std::string type = identifier();
    return located(type_at, [&] { return parse_dtype(type); });
  }

  // Adds line and column to the errors of what the text asks for.
  template <class F>
  auto located(size_t at, F f) -> decltype(f()) {
    try {
      return f();
    } catch (const Error& error) {
      at_ = at;
      throw Error(error.code(), cat(position(), error.what()), error.rule());
    }
  }

  template <class T>
  T from_chars_here(const char* what) {
    skip_space();
    T out{};
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), out);
    if (error != std::errc{}) fail(cat("expected ", what));
    at_ = static_cast<size_t>(end - text_.data());
    return out;
  }
  int64_t integer() {
    if (accept("true")) return 1;
    if (accept("false")) return 0;
    return from_chars_here<int64_t>("an integer");
  }
  int64_t unsigned_integer() { return static_cast<int64_t>(from_chars_here<uint64_t>("an integer of 0 or more")); }
  double real() { return from_chars_here<double>("a number"); }

  std::string string() {
    expect("\"");
    std::string out;
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) {
        ++at_;
        out += text_[at_] == 'n' ? '\n' : text_[at_];
      } else {
        out += text_[at_];
      }
      ++at_;
    }
    if (at_ == text_.size()) fail("string without an end");
    ++at_;
    return out;
  }

  std::string identifier() {
    skip_space();
    const size_t begin = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) ++at_;
    if (begin == at_) fail("expected a name");
    return std::string(text_.substr(begin, at_ - begin));
  }
  std::string digits() {
    const size_t begin = at_;
    while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_]))) ++at_;
    if (begin == at_) fail("expected a number");
    return std::string(text_.substr(begin, at_ - begin));
  }
  void skip_space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  bool peek(std::string_view word) {
    skip_space();
    return text_.substr(at_, word.size()) == word;
  }
  bool accept(std::string_view word) {
    if (!peek(word)) return false;
    at_ += word.size();
    return true;
  }
  void expect(std::string_view word) {
    if (!accept(word)) fail(cat("expected '", word, "'"));
  }
  [[noreturn]] void fail(const std::string& what) { throw Error(Code::kDataLoss, position() + what); }
  // "graph text, line 3, column 8: ".
  std::string position() const {
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at_ && i < text_.size(); ++i) {
      column = text_[i] == '\n' ? 1 : column + 1;
      line += text_[i] == '\n';
    }
    return cat("graph text, line ", line, ", column ", column, ": ");
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

std::string text(const Attribute& value) {
  switch (kind_of(value)) {
    case AttributeKind::kInt: return cat(std::get<int64_t>(value));
    case AttributeKind::kFloat: return real_text(std::get<double>(value));
    case AttributeKind::kBool: return cat(std::get<bool>(value));
    case AttributeKind::kString: return quoted(std::get<std::string>(value));
    case AttributeKind::kDType: return std::string(name(std::get<DType>(value)));
    case AttributeKind::kInts: return cat(std::get<Ints>(value));
    case AttributeKind::kLiteral: return literal_text(*std::get<std::shared_ptr<const Literal>>(value));
    case AttributeKind::kGraph: {
      std::string out = print(*std::get<std::shared_ptr<const Graph>>(value));
      out.pop_back();  // the final newline
      return out;
    }
  }
  return {};
}

std::string print(const Graph& graph) { return Printer().print(graph); }
Graph parse_graph(std::string_view text) { return Parser(text).whole(); }

}  // namespace trireme
