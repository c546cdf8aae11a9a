// Python's pickle format (binary opcodes of protocols 1 to 5), read as plain data.
//
// Nothing is ever imported or run. Where Python would look up a name or call it, the result here is a node that says
// so, for the reader above to judge; a name that is not among those it allows is refused at once, with the name. Values
// lie in one pool, so that values which hold themselves, shared ones and deep ones cost nothing to make or to drop;
// whoever walks them must bound the walk.
//
// Damaged bytes are an Error kDataLoss; names that are not allowed, and the old text opcodes, are kUnsupported.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trireme::formats {

struct PickleValue {
  enum class Kind : uint8_t {
    kNone,
    kBool,        // integer: 0 or 1
    kInteger,     // integer
    kBigInteger,  // text: little-endian two's complement, more than 8 bytes
    kFloat,       // number
    kText,        // text, UTF-8
    kBytes,       // text
    kTuple,       // items
    kList,        // items; sets, too
    kDict,        // items: key, value, key, value ...
    kName,        // text: "module.name"
    kCall,        // text: the name that is called; arguments; items as of a kDict where it was filled like one
    kPersistent,  // arguments: what names an object that lies outside of the pickle
  };
  Kind kind = Kind::kNone;
  int64_t integer = 0;
  double number = 0.0;
  std::string text;
  std::vector<const PickleValue*> items;
  const PickleValue* arguments = nullptr;
};

class Pickle {
 public:
  // True for the names ("collections.OrderedDict") that may occur.
  using Allowed = bool (*)(std::string_view name);
  // Reads one pickle from the beginning of `bytes`; `source` stands for the file's name in messages.
  Pickle(std::span<const std::byte> bytes, const std::string& source, Allowed allowed);

  Pickle(Pickle&&) = default;  // values point to each other, so copies would be of no use
  Pickle& operator=(Pickle&&) = default;

  const PickleValue& root() const { return *root_; }
  // Every value that was made, in the order of the file.
  const std::deque<PickleValue>& all() const { return pool_; }
  // Length of the pickle: several may follow each other in a file.
  size_t bytes() const { return bytes_; }

 private:
  friend class Unpickler;
  std::deque<PickleValue> pool_;
  const PickleValue* root_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace trireme::formats
