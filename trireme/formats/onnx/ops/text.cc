// Text, which exists only as data: it is worked on while the model is imported, and no chip sees it.
#include <algorithm>
#include <map>

#include "trireme/base/strings.h"
#include "trireme/formats/onnx/call.h"

namespace trireme::formats::onnx {

namespace {

const Text& text_of(Call& c, int input) {
  c.require(c.item(input).kind == Kind::kText, cat("input ", input, " is no text"));
  return *c.item(input).text;
}

// Which string stands at each place once broadcast to `shape`.
std::vector<size_t> spread(Call& c, const Text& text, const Shape& shape) {
  Ints places(text.strings.size());
  for (size_t i = 0; i < places.size(); ++i) places[i] = static_cast<int64_t>(i);
  const Literal all = c.known(broadcast(ops::reshape(int64s(places), text.shape.vector()), shape));
  std::vector<size_t> out;
  for (int64_t at : all.values<int64_t>()) out.push_back(static_cast<size_t>(at));
  return out;
}

void string_concat(Call& c) {
  const Text &a = text_of(c, 0), &b = text_of(c, 1);
  const Shape shape = broadcast_shape(c, {a.shape, b.shape});
  const auto at_a = spread(c, a, shape), at_b = spread(c, b, shape);
  Text out{shape, {}};
  for (size_t i = 0; i < at_a.size(); ++i) out.strings.push_back(a.strings[at_a[i]] + b.strings[at_b[i]]);
  c.result(0, Item::of_text(std::move(out)));
}

std::vector<std::string> split_text(const std::string& text, const std::string& delimiter, int64_t most) {
  std::vector<std::string> parts;
  const auto limit = [&] { return most >= 0 && static_cast<int64_t>(parts.size()) == most; };
  if (!delimiter.empty()) {
    size_t begin = 0;
    while (!limit()) {
      const size_t at = text.find(delimiter, begin);
      if (at == std::string::npos) break;
      parts.push_back(text.substr(begin, at - begin));
      begin = at + delimiter.size();
    }
    parts.push_back(text.substr(begin));
    return parts;
  }
  constexpr std::string_view spaces = " \t\n\r\f\v";
  size_t begin = text.find_first_not_of(spaces);
  while (begin != std::string::npos) {
    if (limit()) {
      parts.push_back(text.substr(begin, text.find_last_not_of(spaces) + 1 - begin));
      break;
    }
    const size_t end = text.find_first_of(spaces, begin);
    parts.push_back(text.substr(begin, end == std::string::npos ? end : end - begin));
    begin = end == std::string::npos ? end : text.find_first_not_of(spaces, end);
  }
  return parts;
}

void string_split(Call& c) {
  const Text& x = text_of(c, 0);
  const std::string delimiter = c.string("delimiter", "");
  const int64_t most = c.integer("maxsplit", -1);
  std::vector<std::vector<std::string>> all;
  size_t longest = 0;
  Ints counts;
  for (const std::string& each : x.strings) {
    all.push_back(split_text(each, delimiter, most));
    longest = std::max(longest, all.back().size());
    counts.push_back(static_cast<int64_t>(all.back().size()));
  }
  Text out{x.shape.inserted(x.shape.rank(), static_cast<int64_t>(longest)), {}};
  for (auto& parts : all) {
    parts.resize(longest);
    out.strings.insert(out.strings.end(), parts.begin(), parts.end());
  }
  c.result(0, Item::of_text(std::move(out)));
  c.result(1, ops::constant(Literal::from(std::span<const int64_t>(counts), x.shape)));
}

std::string changed(std::string text, bool upper) {  // ASCII letters only
  for (char& letter : text) {
    if (upper && letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
    if (!upper && letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  return text;
}

void string_normalizer(Call& c) {
  const Text& x = text_of(c, 0);
  c.require(x.shape.rank() == 1 || (x.shape.rank() == 2 && x.shape[0] == 1), cat("the input is ", x.shape));
  const std::string action = c.string("case_change_action", "NONE");
  const bool exact = c.integer("is_case_sensitive", 0) != 0;
  std::vector<std::string> stop = c.strings("stopwords");
  if (!exact) {
    for (std::string& word : stop) word = changed(word, false);
  }
  std::vector<std::string> kept;
  for (const std::string& word : x.strings) {
    if (std::find(stop.begin(), stop.end(), exact ? word : changed(word, false)) != stop.end()) continue;
    kept.push_back(action == "NONE" ? word : changed(word, action == "UPPER"));
  }
  if (kept.empty()) kept.emplace_back();
  const auto count = static_cast<int64_t>(kept.size());
  c.result(0, Item::of_text({x.shape.rank() == 1 ? Shape{count} : Shape{1, count}, std::move(kept)}));
}

// How often each n-gram of the pool occurs in a row, weighted.
void tf_idf(Call& c) {
  const bool words = c.given("pool_strings");
  const Shape shape = words ? text_of(c, 0).shape : c.shape(0);
  c.require(shape.rank() == 1 || shape.rank() == 2, cat("the input is ", shape));
  std::vector<std::string> tokens;
  if (words) tokens = text_of(c, 0).strings;
  else {
    for (int64_t v : c.known_ints(0)) tokens.push_back(std::to_string(v));
  }
  std::vector<std::string> pool = c.strings("pool_strings");
  for (int64_t v : c.integers("pool_int64s")) pool.push_back(std::to_string(v));
  const Ints starts = c.integers("ngram_counts"), targets = c.integers("ngram_indexes");
  const std::vector<double> weights = c.numbers("weights");
  const int64_t skips = c.integer("max_skip_count"), least = c.integer("min_gram_length"),
                most = c.integer("max_gram_length");
  c.require(least >= 1 && most >= least && most <= static_cast<int64_t>(starts.size()) && skips >= 0,
            "gram lengths and counts");
  std::map<std::vector<std::string>, size_t> known;  // n-gram -> its number in the pool
  size_t number = 0;
  for (size_t n = 1; n <= starts.size(); ++n) {
    const auto begin = static_cast<size_t>(starts[n - 1]);
    const size_t end = n < starts.size() ? static_cast<size_t>(starts[n]) : pool.size();
    c.require(starts[n - 1] >= 0 && begin <= end && end <= pool.size() && (end - begin) % n == 0, "ngram_counts");
    for (size_t at = begin; at < end; at += n) {
      known[{pool.begin() + static_cast<std::ptrdiff_t>(at), pool.begin() + static_cast<std::ptrdiff_t>(at + n)}] =
          number++;
    }
  }
  c.require(targets.size() == number && (weights.empty() || weights.size() == number), "ngram_indexes and weights");
  int64_t size = 0;
  for (int64_t t : targets) {
    c.require(t >= 0 && t < (1 << 24), cat("ngram index ", t));
    size = std::max(size, t + 1);
  }
  const int64_t rows = shape.rank() == 1 ? 1 : shape[0], columns = shape.rank() == 1 ? shape[0] : shape[1];
  std::vector<double> out(static_cast<size_t>(rows * size), 0.0);
  const std::string mode = c.string("mode", "TF");
  for (int64_t row = 0; row < rows; ++row) {
    const std::string* first = tokens.data() + row * columns;
    for (int64_t skip = 0; skip <= skips; ++skip) {
      for (int64_t n = least; n <= most; ++n) {
        if (n == 1 && skip > 0) continue;  // single tokens do not depend on the distance
        for (int64_t at = 0; at + (n - 1) * (skip + 1) < columns; ++at) {
          std::vector<std::string> gram;
          for (int64_t k = 0; k < n; ++k) gram.push_back(first[at + k * (skip + 1)]);
          const auto found = known.find(gram);
          if (found == known.end()) continue;
          out[static_cast<size_t>(row * size + targets[found->second])] += 1.0;
        }
      }
    }
    for (size_t k = 0; k < targets.size(); ++k) {
      double& value = out[static_cast<size_t>(row * size + targets[k])];
      const double weight = weights.empty() ? 1.0 : weights[k];
      if (mode == "IDF") value = value > 0 ? weight : 0.0;
      if (mode == "TFIDF") value *= weight;
    }
  }
  const Shape result = shape.rank() == 1 ? Shape{size} : Shape{rows, size};
  c.result(ops::constant(Literal::from_doubles(f32, result, out)));
}

}  // namespace

std::span<const Mapping> text_mappings() {
  static constexpr Mapping table[] = {
      {"StringConcat", string_concat, 20},
      {"StringNormalizer", string_normalizer, 10},
      {"StringSplit", string_split, 20},
      {"TfIdfVectorizer", tf_idf, 9},
  };
  return table;
}

}  // namespace trireme::formats::onnx
