// The words of MLIR text, one at a time. Internal to formats/stablehlo.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace trireme::formats::stablehlo {

struct Token {
  enum class Kind : uint8_t {
    kEnd,
    kWord,    // stablehlo.add, tensor, !stablehlo.token
    kValue,   // %0
    kSymbol,  // @main; text without @
    kHash,    // #stablehlo.gather
    kBlock,   // ^bb0
    kString,  // text without quotes
    kNumber,  // -3, 1.5e-3, 0x7F
    kArrow,   // ->
    kSign,    // one character
  };
  Kind kind = Kind::kEnd;
  std::string text;
  size_t begin = 0, end = 0;  // in the text
  int line = 1;

  bool is(char c) const { return kind == Kind::kSign && text[0] == c; }
  bool is_word(std::string_view word) const { return kind == Kind::kWord && text == word; }
};

// Throws kDataLoss for a character that begins nothing, and for strings and <...> that do not end.
class Lexer {
 public:
  Lexer(std::string_view text, int first_line);

  const Token& token() const { return token_; }
  void next();
  std::string_view text(size_t begin, size_t end) const { return text_.substr(begin, end - begin); }
  // Where the token before this one ended.
  size_t end_of_last() const { return last_end_; }
  // A word that is a type takes in the <...> behind it.
  void whole_type();
  // The token is '<': everything up to its '>', which becomes the token.
  std::string_view raw_in_angles();
  // Behind the '{' that is the token an operation or a block begins, and not a name = value.
  bool ahead_is_operation() const;

 private:
  [[noreturn]] void fail(const std::string& what) const;
  void skip_blanks();
  // The end of <...> that opens at `at`, behind its '>'.
  size_t end_of_angles(size_t at) const;
  void take(Token::Kind kind, size_t end);

  std::string_view text_;
  size_t at_ = 0, last_end_ = 0;
  int line_;
  Token token_;
};

}  // namespace trireme::formats::stablehlo
