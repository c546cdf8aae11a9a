#include "trireme/formats/pickle.h"

#include <bit>
#include <unordered_map>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::formats {

namespace {

using Kind = PickleValue::Kind;

// A value takes about a hundred times the memory of the byte that makes it.
constexpr size_t kMostValues = size_t{1} << 23;

}  // namespace

// A stack machine; each byte of the pickle is an instruction, followed by its operands.
class Unpickler {
 public:
  Unpickler(std::span<const std::byte> bytes, const std::string& source, Pickle::Allowed allowed, Pickle& out)
      : bytes_(bytes), source_(source), allowed_(allowed), out_(out) {}

  void run() {
    while (true) {
      const auto opcode = static_cast<uint8_t>(number<1>());
      if (opcode == '.') break;
      step(opcode);
    }
    out_.root_ = pop();
    out_.bytes_ = at_;
  }

 private:
  [[noreturn]] void refuse(const std::string& what, Code code = Code::kDataLoss) const {
    throw Error(code, cat("pickle in '", source_, "', byte ", at_, ": ", what));
  }

  // clang-format off
  void step(uint8_t opcode) {
    switch (opcode) {
      case 0x80: return protocol();
      case 0x95: number<8>(); return;  // a frame: only a hint for readers of streams
      case 'N': make(Kind::kNone); return;
      case 0x88: make(Kind::kBool).integer = 1; return;
      case 0x89: make(Kind::kBool).integer = 0; return;
      case 'J': make(Kind::kInteger).integer = static_cast<int32_t>(number<4>()); return;
      case 'K': make(Kind::kInteger).integer = static_cast<int64_t>(number<1>()); return;
      case 'M': make(Kind::kInteger).integer = static_cast<int64_t>(number<2>()); return;
      case 0x8a: return integer(number<1>());
      case 0x8b: return integer(number<4>());
      case 'G': return floating();
      case 'X': text(Kind::kText, number<4>()); return;
      case 0x8c: text(Kind::kText, number<1>()); return;
      case 0x8d: text(Kind::kText, number<8>()); return;
      case 'T': text(Kind::kText, number<4>()); return;  // Python 2's str
      case 'U': text(Kind::kText, number<1>()); return;
      case 'B': text(Kind::kBytes, number<4>()); return;
      case 'C': text(Kind::kBytes, number<1>()); return;
      case 0x8e: case 0x96: text(Kind::kBytes, number<8>()); return;
      case '(': marks_.push_back(stack_.size()); return;
      case ')': make(Kind::kTuple); return;
      case 't': collect(Kind::kTuple, mark()); return;
      case 0x85: collect(Kind::kTuple, below(1)); return;
      case 0x86: collect(Kind::kTuple, below(2)); return;
      case 0x87: collect(Kind::kTuple, below(3)); return;
      case ']': case 0x8f: make(Kind::kList); return;
      case 'l': case 0x91: collect(Kind::kList, mark()); return;
      case '}': make(Kind::kDict); return;
      case 'd': return dictionary();
      case 'a': return extend(below(1));
      case 'e': case 0x90: return extend(mark());
      case 's': return fill(below(2));
      case 'u': return fill(mark());
      case 'c': return name_from_lines();
      case 0x93: return name_from_stack();
      case 'R': case 0x81: return call();
      case 0x92: return call_with_keywords();
      case 'b': pop(); top(); return;  // an object's state: attributes, which no weight is
      case 'Q': { const auto* id = pop(); make(Kind::kPersistent).arguments = id; return; }
      case '0': return drop();
      case '1': stack_.resize(mark()); return;
      case '2': push(top()); return;
      case 'q': memo_[number<1>()] = top(); return;
      case 'r': memo_[number<4>()] = top(); return;
      case 0x94: memo_[memo_.size()] = top(); return;
      case 'h': return recall(number<1>());
      case 'j': return recall(number<4>());
      default: refuse(cat("opcode ", static_cast<int>(opcode), " is not read; save with pickle_protocol=2 or later"),
                      Code::kUnsupported);
    }
  }
  // clang-format on

  std::string_view take(uint64_t count) {
    if (count > bytes_.size() - at_) {
      refuse(cat("it asks for ", count, " bytes, but ", bytes_.size() - at_, " follow: it is cut short or damaged"));
    }
    const std::string_view out(reinterpret_cast<const char*>(bytes_.data()) + at_, count);
    at_ += count;
    return out;
  }
  template <size_t width>
  uint64_t number() {
    uint64_t out = 0;
    for (size_t shift = 0; const char c : take(width))
      out |= static_cast<uint64_t>(static_cast<uint8_t>(c)) << 8 * shift++;
    return out;
  }

  void push(PickleValue* value) {
    if (stack_.size() >= kMostValues) refuse("it piles up too many values", Code::kUnsupported);
    stack_.push_back(value);
  }
  PickleValue& make(Kind kind) {
    if (out_.pool_.size() >= kMostValues) refuse(cat("it has more than ", kMostValues, " values"), Code::kUnsupported);
    PickleValue& value = out_.pool_.emplace_back();
    value.kind = kind;
    push(&value);
    return value;
  }
  // Values below the innermost mark are not to be touched.
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  PickleValue* top() const {
    if (stack_.size() <= floor()) refuse("it takes a value from an empty stack");
    return stack_.back();
  }
  PickleValue* pop() {
    PickleValue* value = top();
    stack_.pop_back();
    return value;
  }
  void drop() {
    if (!marks_.empty() && stack_.size() == marks_.back()) marks_.pop_back();
    else pop();
  }
  size_t mark() {
    if (marks_.empty()) refuse("it looks for a mark that is not there");
    const size_t place = marks_.back();
    marks_.pop_back();
    return place;
  }
  size_t below(size_t count) const {
    if (stack_.size() - floor() < count) refuse("it takes a value from an empty stack");
    return stack_.size() - count;
  }
  // What lies on the stack from `first` on.
  std::vector<const PickleValue*> taken(size_t first) {
    std::vector<const PickleValue*> out(stack_.begin() + static_cast<std::ptrdiff_t>(first), stack_.end());
    stack_.resize(first);
    return out;
  }

  void protocol() {
    const uint64_t version = number<1>();
    if (version > 5) refuse(cat("protocol ", version, " is unknown; up to 5 is read"), Code::kUnsupported);
  }
  void integer(uint64_t length) {
    const std::string_view bytes = take(length);
    PickleValue& value = make(length > 8 ? Kind::kBigInteger : Kind::kInteger);
    if (length > 8) {
      value.text = bytes;
    } else if (length > 0) {
      uint64_t bits = static_cast<uint8_t>(bytes.back()) >= 0x80 ? UINT64_MAX : 0;
      for (size_t i = length; i-- > 0;) bits = bits << 8 | static_cast<uint8_t>(bytes[i]);
      value.integer = static_cast<int64_t>(bits);
    }
  }
  void floating() {  // big-endian, alone in this format
    uint64_t bits = 0;
    for (const char c : take(8)) bits = bits << 8 | static_cast<uint8_t>(c);
    make(Kind::kFloat).number = std::bit_cast<double>(bits);
  }
  PickleValue& text(Kind kind, uint64_t length) {
    const std::string_view bytes = take(length);  // before anything is made for it
    PickleValue& value = make(kind);
    value.text = bytes;
    return value;
  }

  void collect(Kind kind, size_t first) {
    auto items = taken(first);
    make(kind).items = std::move(items);
  }
  void dictionary() {
    auto items = taken(mark());
    if (items.size() % 2 != 0) refuse("a dictionary has a key without a value");
    make(Kind::kDict).items = std::move(items);
  }
  void extend(size_t first) {
    const auto items = taken(first);
    PickleValue* list = top();
    if (list->kind != Kind::kList) refuse("it appends to something that is no list");
    list->items.insert(list->items.end(), items.begin(), items.end());
  }
  void fill(size_t first) {
    const auto items = taken(first);
    PickleValue* dict = top();
    if (items.size() % 2 != 0) refuse("a dictionary has a key without a value");
    if (dict->kind != Kind::kDict && dict->kind != Kind::kCall) refuse("it fills something that is no dictionary");
    dict->items.insert(dict->items.end(), items.begin(), items.end());
  }

  std::string_view line() {
    const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + at_, bytes_.size() - at_);
    const size_t end = rest.find('\n');
    if (end == std::string_view::npos) refuse("a name does not end");
    at_ += end + 1;
    return rest.substr(0, end);
  }
  void name(std::string_view module, std::string_view part) {
    if (module.size() + part.size() > 500) refuse("a name is longer than 500 characters");
    const std::string whole = cat(module, ".", part);
    if (!allowed_(whole)) {
      refuse(cat("it asks Python for '", whole,
                 "', which is not among the names that weights need; nothing was run. "
                 "Save a dictionary of tensors, for instance model.state_dict(), instead of whole objects"),
             Code::kUnsupported);
    }
    make(Kind::kName).text = whole;
  }
  void name_from_lines() {
    const std::string_view module = line();
    name(module, line());
  }
  void name_from_stack() {
    const size_t first = below(2);
    const PickleValue *module = stack_[first], *part = stack_[first + 1];
    if (module->kind != Kind::kText || part->kind != Kind::kText) refuse("a name is made of something that is no text");
    stack_.resize(first);
    name(module->text, part->text);
  }
  void called(const PickleValue* callee, const PickleValue* arguments) {
    if (callee->kind != Kind::kName || arguments->kind != Kind::kTuple) refuse("it calls something that is no name");
    PickleValue& value = make(Kind::kCall);
    value.text = callee->text;
    value.arguments = arguments;
  }
  void call() {
    const PickleValue* arguments = pop();
    called(pop(), arguments);
  }
  void call_with_keywords() {
    const PickleValue* keywords = pop();
    if (keywords->kind != Kind::kDict || !keywords->items.empty()) {
      refuse("a call with named arguments is not read", Code::kUnsupported);
    }
    call();
  }

  void recall(uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) refuse(cat("it recalls value ", index, ", which it never kept"));
    push(found->second);
  }

  std::span<const std::byte> bytes_;
  const std::string& source_;
  Pickle::Allowed allowed_;
  Pickle& out_;
  size_t at_ = 0;
  std::vector<PickleValue*> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, PickleValue*> memo_;  // by index: a table would be as large as the pickle says
};

Pickle::Pickle(std::span<const std::byte> bytes, const std::string& source, Allowed allowed) {
  Unpickler(bytes, source, allowed, *this).run();
}

}  // namespace trireme::formats
