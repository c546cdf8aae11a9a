#include "trireme/formats/stablehlo/syntax.h"

#include <charconv>
#include <set>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/formats/stablehlo/lexer.h"

namespace trireme::formats::stablehlo {

namespace {

constexpr int kMaxDepth = 64;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::optional<DType> dtype_of_element(std::string_view element) {
  static const std::map<std::string_view, DType> known = {
      {"f64", f64}, {"f32", f32}, {"f16", f16},  {"bf16", bf16}, {"i1", boolean}, {"i8", i8},    {"i16", i16},
      {"i32", i32}, {"i64", i64}, {"si8", i8},   {"si16", i16},  {"si32", i32},   {"si64", i64}, {"ui8", u8},
      {"u8", u8},   {"u16", u16}, {"ui16", u16}, {"ui32", u32},  {"u32", u32},    {"ui64", u64}, {"u64", u64}};
  const auto at = known.find(element);
  if (at == known.end()) return std::nullopt;
  return at->second;
}

// "func.return" and "return" are the same op.
std::string normal_name(std::string_view name) {
  if (name.starts_with("func.") && name != "func.func") name.remove_prefix(5);
  return std::string(name);
}

class Parser {
 public:
  explicit Parser(Lexer& lexer) : lexer_(lexer) {}

  Module module() {
    Module out;
    while (token().kind != Token::Kind::kEnd) {
      if (token().is_word("module")) {
        skip_module_header();
        while (!token().is('}')) function_or_alias(out);
        next();
      } else {
        function_or_alias(out);
      }
    }
    return out;
  }

  Type type() {
    const size_t begin = token().begin;
    if (token().is('(')) {  // a function type, of which nothing is needed
      skip_balanced('(', ')');
      expect(Token::Kind::kArrow, "->");
      types_of_results();
      Type out;
      out.text = std::string(lexer_.text(begin, lexer_.end_of_last()));
      return out;
    }
    if (token().kind != Token::Kind::kWord) fail("a type");
    lexer_.whole_type();  // with what stands in <>
    Type out = read_type(lexer_.text(token().begin, token().end));
    next();
    return out;
  }

 private:
  const Token& token() const { return lexer_.token(); }
  void next() { lexer_.next(); }
  [[noreturn]] void fail(const std::string& wanted) const {
    const std::string found =
        token().kind == Token::Kind::kEnd ? "the text ends" : cat("there is '", token().text, "'");
    throw Error(Code::kDataLoss, cat("line ", token().line, ": ", found, " where ", wanted, " is expected"));
  }
  [[noreturn]] void refuse(int line, const std::string& what) const {
    throw Error(Code::kDataLoss, cat("line ", line, ": ", what));
  }
  void expect(char c) {
    if (!token().is(c)) fail(cat("'", std::string(1, c), "'"));
    next();
  }
  void expect(Token::Kind kind, const char* what) {
    if (token().kind != kind) fail(what);
    next();
  }
  bool accept(char c) {
    if (!token().is(c)) return false;
    next();
    return true;
  }
  bool accept_word(std::string_view word) {
    if (!token().is_word(word)) return false;
    next();
    return true;
  }
  void skip_balanced(char open, char close) {
    int depth = 0;
    do {
      if (token().kind == Token::Kind::kEnd) fail(cat("'", std::string(1, close), "'"));
      if (token().is(open)) ++depth;
      if (token().is(close)) --depth;
      next();
    } while (depth > 0);
  }
  struct Depth {
    Parser* parser;
    explicit Depth(Parser* p) : parser(p) {
      if (++parser->depth_ > kMaxDepth) {
        parser->refuse(parser->token().line, cat("more than ", kMaxDepth, " levels lie in one another"));
      }
    }
    ~Depth() { --parser->depth_; }
  };

  // --- types ---

  Type read_type(std::string_view text) const {
    Type out;
    out.text = std::string(text);
    if (!text.starts_with("tensor<") || !text.ends_with('>')) return out;
    std::string_view rest = trim(text.substr(7, text.size() - 8));
    out.tensor = true;
    while (!rest.empty() && (is_digit(rest[0]) || rest[0] == '?')) {
      int64_t size = -1;
      size_t length = 1;
      if (rest[0] != '?') {
        const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), size);
        if (error != std::errc()) refuse(token().line, cat("the size in ", text, " is too large"));
        length = static_cast<size_t>(end - rest.data());
      }
      rest = trim(rest.substr(length));
      if (rest.empty() || rest[0] != 'x') refuse(token().line, cat("'x' is missing behind a size in ", text));
      rest = trim(rest.substr(1));
      out.sizes.push_back(size);
    }
    int nested = 0;  // an encoding, ", #stablehlo.bounds<...>", changes nothing
    for (size_t i = 0; i < rest.size(); ++i) {
      if (rest[i] == '<' || rest[i] == '{') ++nested;
      if (rest[i] == '>' || rest[i] == '}') --nested;
      if (rest[i] == ',' && nested == 0) {
        rest = trim(rest.substr(0, i));
        break;
      }
    }
    if (rest.empty()) refuse(token().line, cat(text, " names no element type"));
    out.element = std::string(rest);
    out.dtype = dtype_of_element(rest);
    return out;
  }

  std::vector<Type> type_list(char close) {
    std::vector<Type> out;
    if (accept(close)) return out;
    do {
      out.push_back(type());
      if (token().is('{')) dictionary();
    } while (accept(','));
    expect(close);
    return out;
  }

  std::vector<Type> types_of_results() {
    if (accept('(')) return type_list(')');
    std::vector<Type> out;
    do out.push_back(type());
    while (accept(','));
    return out;
  }

  // --- attributes ---

  std::map<std::string, Attribute> dictionary() {
    const Depth guard(this);
    std::map<std::string, Attribute> out;
    expect('{');
    while (!token().is('}')) {
      if (token().kind != Token::Kind::kWord && token().kind != Token::Kind::kString) fail("the name of an attribute");
      const std::string name = token().text;
      next();
      Attribute value;
      value.text = "unit";
      if (accept('=')) {
        value = attribute();
        if (accept(':')) {
          const Type written = type();
          if (value.kind == Attribute::Kind::kDense) value.dense.type = written;
        }
      }
      if (!out.emplace(name, std::move(value)).second)
        refuse(token().line, cat("attribute '", name, "' is given twice"));
      if (!token().is('}')) expect(',');
    }
    next();
    return out;
  }

  // [1, 2], [[1, 2], [3, 4]], [0:10:2, 1:3].
  Attribute list(char close) {
    const Depth guard(this);
    Attribute out;
    out.kind = Attribute::Kind::kList;
    if (accept(close)) return out;
    do {
      Attribute value = attribute();
      if (token().is(':')) {
        next();
        if (token().kind == Token::Kind::kNumber) {  // a range
          Attribute range;
          range.kind = Attribute::Kind::kList;
          range.list.push_back(std::move(value));
          do range.list.push_back(attribute());
          while (accept(':'));
          value = std::move(range);
        } else {
          type();
        }
      }
      out.list.push_back(std::move(value));
    } while (accept(','));
    expect(close);
    return out;
  }

  Attribute number() {
    Attribute out;
    const std::string_view text = token().text;
    std::string_view digits = text;
    const bool negative = digits.starts_with('-');
    if (negative) digits.remove_prefix(1);
    const bool hex = digits.starts_with("0x");
    if (hex) digits.remove_prefix(2);
    uint64_t magnitude = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), magnitude, hex ? 16 : 10);
    if (end == digits.data() + digits.size() && !digits.empty()) {
      if (error != std::errc()) refuse(token().line, cat("the number ", text, " needs more than 64 bits"));
      out.kind = Attribute::Kind::kInteger;
      out.integer = static_cast<int64_t>(negative ? 0 - magnitude : magnitude);
      out.number = static_cast<double>(out.integer);
    } else {
      out.kind = Attribute::Kind::kFloat;
      const auto [tail, wrong] = std::from_chars(text.data(), text.data() + text.size(), out.number);
      if (tail != text.data() + text.size() || wrong == std::errc::invalid_argument) fail("a number");
    }
    next();
    return out;
  }

  // The list that dot_general writes [1] x [0], and convolution [b, f, 0]x[o, i, 0]->[b, f, 0].
  Attribute lists() {
    expect('[');
    Attribute first = list(']');
    if (!token().is_word("x")) return first;
    Attribute out;
    out.kind = Attribute::Kind::kList;
    out.list.push_back(std::move(first));
    while (token().is_word("x") || token().kind == Token::Kind::kArrow) {
      next();
      expect('[');
      out.list.push_back(list(']'));
    }
    return out;
  }

  // #stablehlo.gather<offset_dims = [1], ...>, #stablehlo<precision HIGHEST>, #stablehlo.conv<[b, 0, f]x...>; within an
  // op that knows the attribute also <...> alone.
  Attribute dialect_attribute() {
    const Depth guard(this);
    Attribute out;
    out.kind = Attribute::Kind::kText;
    if (token().kind == Token::Kind::kHash) {
      out.text = token().text;
      next();
    }
    if (!accept('<')) return out;
    while (!token().is('>')) {
      if (token().is('[')) {
        out = lists();
      } else if (token().kind == Token::Kind::kWord) {
        const std::string name = token().text;
        next();
        if (accept('=')) {
          out.kind = Attribute::Kind::kDictionary;
          out.fields.insert_or_assign(name, attribute());
        } else {
          out.text = name;
        }
      } else {
        fail("'>'");
      }
      if (!token().is('>')) accept(',');
    }
    next();
    return out;
  }

  Attribute attribute() {
    const Depth guard(this);
    Attribute out;
    switch (token().kind) {
      case Token::Kind::kNumber: return number();
      case Token::Kind::kHash: return dialect_attribute();
      case Token::Kind::kString:
      case Token::Kind::kSymbol:
        out.kind = Attribute::Kind::kText;
        out.text = token().text;
        next();
        return out;
      case Token::Kind::kWord: break;
      default:
        if (token().is('[')) return lists();
        if (token().is('<')) return dialect_attribute();
        if (token().is('{')) {
          out.kind = Attribute::Kind::kDictionary;
          out.fields = dictionary();
          return out;
        }
        if (token().is('(')) {  // a function type
          type();
          return out;
        }
        fail("a value");
    }
    if (token().text == "dense") {
      next();
      out.kind = Attribute::Kind::kDense;
      out.dense.text = lexer_.raw_in_angles();
      next();
      return out;
    }
    if (token().text == "array") {  // array<i64: 1, 2>
      next();
      expect('<');
      type();
      out.kind = Attribute::Kind::kList;
      if (accept(':')) return list('>');
      expect('>');
      return out;
    }
    out.kind = Attribute::Kind::kText;
    if (token().text == "tensor" || token().text.starts_with('!')) {
      out.text = type().text;
      return out;
    }
    out.text = token().text;
    out.integer = out.text == "true" ? 1 : 0;
    next();
    return out;
  }

  // --- operations ---

  Operand operand() {
    Operand out;
    out.name = token().text;
    expect(Token::Kind::kValue, "a value, %name");
    if (token().is('#')) {
      next();
      const Attribute index = token().kind == Token::Kind::kNumber ? number() : Attribute();
      if (index.kind != Attribute::Kind::kInteger || index.integer < 0) fail("the number of a result behind '#'");
      out.result = index.integer;
    }
    return out;
  }

  // A group in parentheses: (%a, %b), (%0 init: %1), (%0, k = 2), (%iterArg = %0).
  void group(Operation& op) {
    const Depth guard(this);
    expect('(');
    while (!token().is(')')) {
      if (token().kind == Token::Kind::kValue) {
        op.operands.push_back(operand());
        if (accept('=')) {
          op.bindings.push_back(op.operands.back().name);
          op.operands.back() = operand();
        } else if (token().is_word("init")) {
          next();
          expect(':');
          op.operands.push_back(operand());
        }
      } else {
        item(op);
      }
      if (!token().is(')')) expect(',');
    }
    next();
  }

  // Anything else that may stand between the name and the types.
  void item(Operation& op) {
    if (token().kind == Token::Kind::kWord && token().text != "dense" && token().text != "array") {
      const std::string word = token().text;
      next();
      if (accept('=')) op.attributes.insert_or_assign(word, attribute());
      else op.words.push_back(word);
    } else if (token().kind == Token::Kind::kSymbol || token().kind == Token::Kind::kString) {
      op.words.push_back(token().text);
      next();
    } else {
      op.values.push_back(attribute());
    }
  }

  void arguments(std::vector<Argument>& out) {
    while (!token().is(')')) {
      Argument each;
      each.name = token().text;
      expect(Token::Kind::kValue, "an argument, %name");
      expect(':');
      each.type = type();
      if (token().is('{')) dictionary();
      out.push_back(std::move(each));
      if (!token().is(')')) expect(',');
    }
    next();
  }

  // { ^bb0(%a: T): operations }; `known` are arguments that were named outside.
  Region region(std::vector<Argument> known = {}) {
    const Depth guard(this);
    Region out;
    out.arguments = std::move(known);
    expect('{');
    if (token().kind == Token::Kind::kBlock) {
      next();
      if (accept('(')) arguments(out.arguments);
      expect(':');
    }
    check_names(out.arguments);
    std::set<std::string> defined;
    for (const Argument& each : out.arguments) defined.insert(each.name);
    while (!token().is('}')) {
      if (token().kind == Token::Kind::kBlock) refuse(token().line, "a region has more than one block");
      Operation op = operation();
      for (const auto& result : op.results) {
        if (!defined.insert(result.name).second) refuse(op.line, cat(result.name, " is defined twice"));
      }
      out.operations.push_back(std::move(op));
    }
    next();
    return out;
  }

  void check_names(const std::vector<Argument>& arguments) const {
    std::set<std::string> names;
    for (const Argument& each : arguments) {
      if (!names.insert(each.name).second) refuse(token().line, cat("argument ", each.name, " is named twice"));
    }
  }

  // A '{' opens a region when a block, a value or an operation's name follows, not the name of an attribute.
  bool opens_region() {
    if (!token().is('{')) return false;
    return lexer_.ahead_is_operation();
  }

  void signature(Operation& op) {
    if (token().is('(')) {
      next();
      std::vector<Type> first = type_list(')');
      expect(Token::Kind::kArrow, "->");
      op.functional = true;
      op.operand_types = std::move(first);
      op.result_types = types_of_results();
      return;
    }
    do op.operand_types.push_back(type());
    while (accept(','));
    if (token().kind == Token::Kind::kArrow) {
      next();
      op.functional = true;
      op.result_types = types_of_results();
      return;
    }
    // One type for all, or one per result, or (select) the last one.
    const auto count = static_cast<size_t>(op.result_count());
    const auto& written = op.operand_types;
    if (written.size() == count) op.result_types = written;
    else if (count == 1) op.result_types = {written.back()};
    else if (written.size() == 1) op.result_types.assign(count, written[0]);
  }

  void merge(Operation& op, std::map<std::string, Attribute> fields) const {
    for (auto& [name, value] : fields) {
      if (!op.attributes.emplace(name, std::move(value)).second) {
        refuse(op.line, cat("attribute '", name, "' is given twice"));
      }
    }
  }

  Operation operation() {
    const Depth guard(this);
    Operation op;
    op.line = token().line;
    if (token().kind == Token::Kind::kValue) {
      do {
        Operation::Result result{token().text, 1};
        expect(Token::Kind::kValue, "a result, %name");
        if (accept(':')) {
          const Attribute count = token().kind == Token::Kind::kNumber ? number() : Attribute();
          if (count.kind != Attribute::Kind::kInteger || count.integer < 1 || count.integer > 4096) {
            fail("how many results, 1 .. 4096,");
          }
          result.count = count.integer;
        }
        op.results.push_back(std::move(result));
      } while (accept(','));
      expect('=');
    }
    if (token().kind == Token::Kind::kString) {
      op.name = normal_name(token().text);
      next();
      generic(op);
    } else if (token().kind == Token::Kind::kWord) {
      op.name = normal_name(token().text);
      next();
      pretty(op);
    } else {
      fail("an operation");
    }
    if (accept_word("loc")) skip_balanced('(', ')');
    return op;
  }

  void generic(Operation& op) {
    expect('(');
    while (!token().is(')')) {
      op.operands.push_back(operand());
      if (!token().is(')')) expect(',');
    }
    next();
    if (accept('<')) {
      merge(op, dictionary());
      expect('>');
    }
    if (accept('(')) {
      do op.regions.push_back(region());
      while (accept(','));
      expect(')');
    }
    if (token().is('{')) merge(op, dictionary());
    expect(':');
    signature(op);
  }

  void pretty(Operation& op) {
    // An operation ends with its types; return alone may have none.
    while (!token().is(':')) {
      if (token().is('}') || token().kind == Token::Kind::kEnd) {
        if (op.name == "return") return;
        fail(cat("':' and the types of ", op.name));
      }
      if (token().kind == Token::Kind::kValue) op.operands.push_back(operand());
      else if (token().is('(')) group(op);
      else if (opens_region()) op.regions.push_back(region());
      else if (token().is('{')) merge(op, dictionary());
      else if (!accept(',')) item(op);
    }
    next();
    signature(op);
    if (token().is('{') && !opens_region()) merge(op, dictionary());
    if (op.name == "stablehlo.reduce") reducer(op);
    if (op.name == "stablehlo.while") loop(op);
  }

  // reduce(%x init: %a), (%y init: %b) ... : types reducer(%l: T, %r: T) (%m: U, %s: U) {...}: inputs and initial
  // values are brought into the order of the generic form.
  void reducer(Operation& op) {
    std::vector<Operand> inputs, starts;
    for (size_t i = 0; i < op.operands.size(); ++i) (i % 2 == 0 ? inputs : starts).push_back(op.operands[i]);
    inputs.insert(inputs.end(), starts.begin(), starts.end());
    op.operands = std::move(inputs);
    if (!accept_word("reducer")) return;
    std::vector<Argument> left, right;
    while (accept('(')) {
      std::vector<Argument> pair;
      arguments(pair);
      if (pair.size() != 2) refuse(op.line, "a reducer's group has not two arguments");
      left.push_back(std::move(pair[0]));
      right.push_back(std::move(pair[1]));
    }
    left.insert(left.end(), right.begin(), right.end());
    op.regions.push_back(region(std::move(left)));
  }

  void loop(Operation& op) {
    if (accept_word("attributes")) merge(op, dictionary());
    std::vector<Argument> state;
    for (size_t i = 0; i < op.bindings.size() && i < op.operand_types.size(); ++i) {
      state.push_back({op.bindings[i], op.operand_types[i]});
    }
    if (!accept_word("cond")) fail("'cond'");
    op.regions.push_back(region(state));
    if (!accept_word("do")) fail("'do'");
    op.regions.push_back(region(std::move(state)));
  }

  // --- functions ---

  void skip_module_header() {
    next();
    if (token().kind == Token::Kind::kSymbol) next();
    if (accept_word("attributes")) dictionary();
    expect('{');
  }

  void function_or_alias(Module& out) {
    if (token().kind == Token::Kind::kHash) {  // #name = ...
      next();
      expect('=');
      if (accept_word("loc")) skip_balanced('(', ')');
      else attribute();
      return;
    }
    if (!token().is_word("func.func")) fail("func.func");
    Function function;
    function.line = token().line;
    next();
    if (accept_word("private")) function.is_private = true;
    else accept_word("public");
    if (token().kind != Token::Kind::kSymbol) fail("the function's @name");
    function.name = token().text;
    next();
    std::vector<Argument> given;
    expect('(');
    arguments(given);
    if (token().kind == Token::Kind::kArrow) {
      next();
      function.results = types_of_results();
    }
    if (accept_word("attributes")) dictionary();
    function.body = region(std::move(given));
    if (out.find(function.name) != nullptr)
      refuse(function.line, cat("function @", function.name, " is defined twice"));
    out.functions.push_back(std::move(function));
  }

  Lexer& lexer_;
  int depth_ = 0;
};

}  // namespace

int64_t Operation::result_count() const {
  int64_t count = 0;
  for (const Result& each : results) count += each.count;
  return count;
}

std::string Operation::where() const { return cat("line ", line, ": ", name); }

const Function* Module::find(std::string_view name) const {
  for (const Function& each : functions) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

File parse(std::string text) {
  File out;
  out.text = std::make_shared<const std::string>(std::move(text));
  const std::string_view all = *out.text;
  size_t begin = 0;
  int line = 1;
  while (begin <= all.size()) {
    size_t end = all.find("\n// -----", begin);
    if (end == std::string_view::npos) end = all.size();
    Lexer lexer(all.substr(begin, end - begin), line);
    Module module = Parser(lexer).module();
    if (!module.functions.empty()) out.modules.push_back(std::move(module));
    for (size_t i = begin; i < std::min(end + 1, all.size()); ++i) line += all[i] == '\n' ? 1 : 0;
    begin = end + 1;
  }
  return out;
}

Type parse_type(std::string_view text) {
  Lexer lexer(text, 1);
  Type out = Parser(lexer).type();
  if (lexer.token().kind != Token::Kind::kEnd) throw Error(Code::kDataLoss, cat("'", text, "' is not one type"));
  return out;
}

}  // namespace trireme::formats::stablehlo
