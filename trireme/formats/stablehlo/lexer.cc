#include "trireme/formats/stablehlo/lexer.h"

#include <algorithm>
#include <cctype>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::formats::stablehlo {

namespace {

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name(char c) { return is_letter(c) || is_digit(c) || c == '.' || c == '$'; }
bool is_symbol(char c) { return is_name(c) || c == '-'; }

}  // namespace

Lexer::Lexer(std::string_view text, int first_line) : text_(text), line_(first_line) { next(); }

void Lexer::fail(const std::string& what) const { throw Error(Code::kDataLoss, cat("line ", line_, ": ", what)); }

void Lexer::skip_blanks() {
  while (at_ < text_.size()) {
    if (text_[at_] == '\n') ++line_;
    if (text_.substr(at_).starts_with("//")) at_ = std::min(text_.find('\n', at_), text_.size());
    else if (std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
    else break;
  }
}

void Lexer::take(Token::Kind kind, size_t end) {
  token_.kind = kind;
  token_.text = std::string(text_.substr(at_, end - at_));
  token_.begin = at_;
  token_.end = end;
  token_.line = line_;
  at_ = end;
}

void Lexer::next() {
  last_end_ = at_;
  skip_blanks();
  if (at_ >= text_.size()) return take(Token::Kind::kEnd, text_.size());
  const char c = text_[at_];
  const char after = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
  const auto end_of = [&](size_t from, bool (*belongs)(char)) {
    while (from < text_.size() && belongs(text_[from])) ++from;
    return from;
  };
  if (c == '"') {
    size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != '"' && text_[end] != '\n') end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size() || text_[end] != '"') fail("a string does not end");
    take(Token::Kind::kString, end + 1);
    token_.text = token_.text.substr(1, token_.text.size() - 2);
  } else if (c == '%') {
    take(Token::Kind::kValue, end_of(at_ + 1, is_symbol));
    if (token_.text.size() == 1) fail("'%' stands alone");
  } else if (c == '@') {
    const bool quoted = after == '"';
    const size_t end = quoted ? std::min(text_.find('"', at_ + 2), text_.size() - 1) + 1 : end_of(at_ + 1, is_symbol);
    take(Token::Kind::kSymbol, end);
    token_.text = token_.text.substr(1);
    if (quoted && (token_.text.size() < 2 || token_.text.back() != '"')) fail("a name in quotes does not end");
    if (quoted) token_.text = token_.text.substr(1, token_.text.size() - 2);
  } else if (c == '^') {
    take(Token::Kind::kBlock, end_of(at_ + 1, is_name));
  } else if (c == '#' && is_letter(after)) {
    take(Token::Kind::kHash, end_of(at_ + 1, is_name));
  } else if (is_letter(c) || c == '!') {
    take(Token::Kind::kWord, end_of(at_ + 1, is_name));
  } else if (c == '-' && after == '>') {
    take(Token::Kind::kArrow, at_ + 2);
  } else if (is_digit(c) || (c == '-' && is_digit(after))) {
    size_t end = at_ + (c == '-' ? 1 : 0);
    if (text_.substr(end).starts_with("0x")) {
      end = end_of(end + 2, [](char x) { return std::isxdigit(static_cast<unsigned char>(x)) != 0; });
    } else {
      end = end_of(end, is_digit);
      if (end < text_.size() && text_[end] == '.') end = end_of(end + 1, is_digit);
      if (end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
        const size_t sign = end + 1 < text_.size() && (text_[end + 1] == '-' || text_[end + 1] == '+') ? 1 : 0;
        const size_t tail = end_of(end + 1 + sign, is_digit);
        if (tail > end + 1 + sign) end = tail;
      }
    }
    take(Token::Kind::kNumber, end);
  } else if (std::string_view("(){}[]<>=,:#-*?+/|").find(c) != std::string_view::npos) {
    take(Token::Kind::kSign, at_ + 1);
  } else {
    fail(cat("the character ", static_cast<int>(static_cast<unsigned char>(c)), " begins nothing"));
  }
}

size_t Lexer::end_of_angles(size_t at) const {
  int depth = 0;
  for (; at < text_.size(); ++at) {
    const char c = text_[at];
    if (c == '"') {
      at = text_.find('"', at + 1);
      if (at == std::string_view::npos) break;
    } else if (c == '/' && text_.substr(at).starts_with("//")) {
      at = text_.find('\n', at);
      if (at == std::string_view::npos) break;
    } else if (c == '<') {
      ++depth;
    } else if (c == '>' && text_[at - 1] != '-' && --depth == 0) {
      return at + 1;
    }
  }
  fail("'<' is not closed by '>'");
}

void Lexer::whole_type() {
  if (at_ >= text_.size() || text_[at_] != '<') return;
  const size_t end = end_of_angles(at_);
  line_ += static_cast<int>(
      std::count(text_.begin() + static_cast<int64_t>(at_), text_.begin() + static_cast<int64_t>(end), '\n'));
  at_ = end;
  token_.end = end;
}

std::string_view Lexer::raw_in_angles() {
  if (!token_.is('<')) fail("'<' is missing behind dense");
  const size_t begin = token_.end, end = end_of_angles(token_.begin);
  line_ += static_cast<int>(
      std::count(text_.begin() + static_cast<int64_t>(begin), text_.begin() + static_cast<int64_t>(end), '\n'));
  at_ = end - 1;
  take(Token::Kind::kSign, end);
  return text_.substr(begin, end - 1 - begin);
}

bool Lexer::ahead_is_operation() const {
  Lexer ahead = *this;
  ahead.next();
  switch (ahead.token().kind) {
    case Token::Kind::kBlock:
    case Token::Kind::kValue: return true;
    case Token::Kind::kString:
    case Token::Kind::kWord: break;
    default: return false;
  }
  ahead.next();
  return !ahead.token().is('=') && !ahead.token().is(',') && !ahead.token().is('}');
}

}  // namespace trireme::formats::stablehlo
