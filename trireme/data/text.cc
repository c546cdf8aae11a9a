#include "trireme/data/text.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"

namespace trireme::data {

namespace {

// Bytes of the UTF-8 character at `at`: 1 to 4, or 0 when there is none. Overlong forms, surrogates and values above
// U+10FFFF are none.
size_t character_size(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const size_t size = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) || (first == 0xF0 && second < 0x90) ||
      (first == 0xF4 && second > 0x8F)) {
    return 0;
  }
  return size;
}

std::string hexadecimal(std::string_view bytes) {
  static const char* const digits = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += out.empty() ? "" : " ";
    out += digits[static_cast<unsigned char>(c) >> 4];
    out += digits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

// Calls each(symbol) in order.
template <class Each>
void for_symbols(std::string_view text, bool bytes, Each&& each) {
  for (size_t at = 0; at < text.size();) {
    const size_t size = bytes ? 1 : character_size(text, at);
    if (size == 0) {
      throw Error(Code::kDataLoss, cat("the text is not UTF-8 at byte ", at, " (", hexadecimal(text.substr(at, 4)),
                                       "); convert it, or take bytes as symbols"));
    }
    each(text.substr(at, size), at);
    at += size;
  }
}

Vocabulary vocabulary_of(std::string_view text, bool bytes) {
  std::set<std::string_view> symbols;
  for_symbols(text, bytes, [&](std::string_view symbol, size_t) { symbols.insert(symbol); });
  return Vocabulary({symbols.begin(), symbols.end()});
}

class TextWindows final : public Dataset {
 public:
  TextWindows(const Literal& tokens, int64_t length, int64_t stride, std::vector<std::string> symbols)
      : tokens_(std::make_shared<const Literal>(tokens)), stride_(stride), symbols_(std::move(symbols)) {
    fields_ = {{"tokens", i32, {length}}, {"targets", i32, {length}}};
    size_ = tokens.elements() > length ? (tokens.elements() - length - 1) / stride + 1 : 0;
  }
  int64_t size() const override { return size_; }
  const std::vector<Field>& fields() const override { return fields_; }
  const std::vector<std::string>& classes() const override { return symbols_; }
  Example example(int64_t index) const override {
    TRIREME_CHECK(index >= 0 && index < size_, cat("example ", index, " of ", size_));
    const int32_t* from = tokens_->values<int32_t>().data() + index * stride_;
    return {Literal(i32, fields_[0].shape, tokens_, from), Literal(i32, fields_[1].shape, tokens_, from + 1)};
  }

 private:
  std::shared_ptr<const Literal> tokens_;
  int64_t stride_;
  std::vector<std::string> symbols_;
  std::vector<Field> fields_;
  int64_t size_ = 0;
};

}  // namespace

Vocabulary::Vocabulary(std::vector<std::string> symbols) : symbols_(std::move(symbols)) {
  bytes_ = std::all_of(symbols_.begin(), symbols_.end(), [](const std::string& s) { return s.size() == 1; });
  for (const std::string& symbol : symbols_) {
    const bool single = bytes_ || (!symbol.empty() && character_size(symbol, 0) == symbol.size());
    if (!single || !tokens_.emplace(symbol, static_cast<int32_t>(tokens_.size())).second) {
      throw Error(Code::kInvalidArgument, cat("vocabulary: symbol ", tokens_.size(), " (", hexadecimal(symbol), ") is ",
                                              single ? "there twice" : "not one character"));
    }
  }
}

Vocabulary Vocabulary::of_bytes(std::string_view text) { return vocabulary_of(text, true); }
Vocabulary Vocabulary::of_characters(std::string_view text) { return vocabulary_of(text, false); }

std::vector<int32_t> Vocabulary::encode(std::string_view text) const {
  std::vector<int32_t> out;
  out.reserve(text.size());
  for_symbols(text, bytes_, [&](std::string_view symbol, size_t at) {
    const auto found = tokens_.find(symbol);
    if (found == tokens_.end()) {
      throw Error(Code::kInvalidArgument, cat("the vocabulary of ", size(), " symbols has none for '", symbol, "' (",
                                              hexadecimal(symbol), ") at byte ", at));
    }
    out.push_back(found->second);
  });
  return out;
}

std::string Vocabulary::decode(std::span<const int32_t> tokens) const {
  std::string out;
  for (const int32_t token : tokens) {
    if (token < 0 || token >= size()) {
      throw Error(Code::kInvalidArgument, cat("token ", token, " is outside the vocabulary of ", size(), " symbols"));
    }
    out += symbols_[static_cast<size_t>(token)];
  }
  return out;
}

DatasetPointer text_windows(const Literal& tokens, int64_t length, int64_t stride, std::vector<std::string> symbols) {
  if (tokens.dtype() != i32 || tokens.shape().rank() != 1 || length < 1 || stride < 1) {
    throw Error(Code::kInvalidArgument, cat("text windows: tokens must be i32 [n], length and stride 1 or more; given ",
                                            tokens.dtype(), tokens.shape(), ", ", length, ", ", stride));
  }
  return std::make_shared<TextWindows>(tokens, length, stride, std::move(symbols));
}

TextData read_text(const std::string& path, const TextOptions& options) {
  if (!(options.validation_share >= 0 && options.validation_share < 1)) {
    throw Error(Code::kInvalidArgument,
                cat("text: validation_share is ", options.validation_share, "; give 0 or more and less than 1"));
  }
  const std::string text = read_file(path);
  try {
    Vocabulary vocabulary = vocabulary_of(text, options.bytes);
    const std::vector<int32_t> tokens = vocabulary.encode(text);
    const auto held_back =
        static_cast<size_t>(std::llround(options.validation_share * static_cast<double>(tokens.size())));
    const auto windows = [&](size_t begin, size_t end, int64_t stride) {
      const std::span<const int32_t> part = std::span(tokens).subspan(begin, end - begin);
      return text_windows(Literal::from(part, {static_cast<int64_t>(part.size())}), options.length, stride,
                          vocabulary.symbols());
    };
    const size_t cut = tokens.size() - held_back;
    Split split{windows(0, cut, options.stride), windows(cut, tokens.size(), options.length)};
    if (split.train->size() == 0 || (held_back > 0 && split.validation->size() == 0)) {
      throw Error(Code::kInvalidArgument, cat("its ", cut, " training and ", held_back,
                                              " validation tokens hold no"
                                              " window of ",
                                              options.length, " + 1; choose a shorter length"));
    }
    return {std::move(vocabulary), std::move(split)};
  } catch (const Error& error) {
    throw Error(error.code(), cat("text '", path, "': ", error.what()));
  }
}

}  // namespace trireme::data
