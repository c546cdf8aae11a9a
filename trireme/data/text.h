// Text as training data: a vocabulary of bytes or characters, and windows of tokens with the next token as target.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/data/dataset.h"

namespace trireme::data {

// Symbols in byte order; the token of a symbol is its position.
class Vocabulary {
 public:
  // The bytes that occur in the text, each a symbol.
  static Vocabulary of_bytes(std::string_view text);
  // The characters (UTF-8 code points) that occur. Text that is not UTF-8 is kDataLoss, with the place.
  static Vocabulary of_characters(std::string_view text);
  // From symbols kept with a model; each must be one byte, or each one character.
  explicit Vocabulary(std::vector<std::string> symbols);

  int64_t size() const { return static_cast<int64_t>(symbols_.size()); }
  const std::vector<std::string>& symbols() const { return symbols_; }
  // A symbol that the vocabulary lacks is kInvalidArgument, with the place.
  std::vector<int32_t> encode(std::string_view text) const;
  std::string decode(std::span<const int32_t> tokens) const;

 private:
  std::vector<std::string> symbols_;
  std::map<std::string, int32_t, std::less<>> tokens_;
  bool bytes_ = false;  // every symbol is one byte, so the text need not be UTF-8
};

// Fields "tokens" and "targets", i32 [length]; example i starts at token i * stride, and its targets are the tokens one
// place further on. tokens is i32 [n]; it takes length + 1 tokens to make a window. `symbols`, what the tokens stand
// for, are the data set's classes.
DatasetPointer text_windows(const Literal& tokens, int64_t length, int64_t stride = 1,
                            std::vector<std::string> symbols = {});

// A text file cut in two: the first part to train on, the rest to validate with. Windows never cross the cut.
struct TextOptions {
  int64_t length = 128;           // tokens in a window
  int64_t stride = 1;             // between training windows; validation windows do not overlap
  double validation_share = 0.1;  // of the tokens, from the end
  bool bytes = false;             // symbols are bytes, not characters
};
struct TextData {
  Vocabulary vocabulary;
  Split split;
};
TextData read_text(const std::string& path, const TextOptions& options = {});

}  // namespace trireme::data
