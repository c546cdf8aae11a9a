// Lists of tensors, and values that may be absent. Both exist only while a model is imported: the graph sees the
// tensors.
#include "trireme/base/strings.h"
#include "trireme/formats/onnx/call.h"

namespace trireme::formats::onnx {

namespace {

const Item& list(Call& c, int input) {
  const Item& item = c.item(input);
  c.require(item.kind == Kind::kSequence, cat("input ", input, " is no sequence"));
  return item;
}

// A place in a list of `size`, counted from either end.
size_t place(Call& c, int64_t at, int64_t size) {
  c.require(at >= -size && at < size, cat("place ", at, " of ", size));
  return static_cast<size_t>(at < 0 ? at + size : at);
}

constexpr int64_t kMaxItems = 1 << 16;

// What a sequence may hold.
const Item& element(const Call& c, const Item& item) {
  c.require(item.kind == Kind::kTensor || item.kind == Kind::kText, "a sequence holds tensors");
  return item;
}

void construct(Call& c) {
  std::vector<Item> items;
  for (int i = 0; i < c.inputs(); ++i) items.push_back(element(c, c.item(i)));
  const Elem elem = items.empty() ? Elem::kNone : items[0].elem;
  c.result(0, Item::sequence(elem, std::move(items)));
}

void empty(Call& c) { c.result(0, Item::sequence(static_cast<Elem>(c.integer("dtype", 1)), {})); }

void at(Call& c) {
  const auto& items = list(c, 0).items;
  c.result(0, items[place(c, c.known_int(1), static_cast<int64_t>(items.size()))]);
}

void insert(Call& c) {
  std::vector<Item> items = list(c, 0).items;
  const auto size = static_cast<int64_t>(items.size());
  size_t where = items.size();
  if (c.has(2)) {
    const int64_t at = c.known_int(2);
    where = at == size ? items.size() : place(c, at, size);
  }
  items.insert(items.begin() + static_cast<std::ptrdiff_t>(where), element(c, c.item(1)));
  c.result(0, Item::sequence(c.item(1).elem, std::move(items)));
}

void erase(Call& c) {
  std::vector<Item> items = list(c, 0).items;
  const auto size = static_cast<int64_t>(items.size());
  items.erase(items.begin() + static_cast<std::ptrdiff_t>(place(c, c.has(1) ? c.known_int(1) : -1, size)));
  c.result(0, Item::sequence(c.item(0).elem, std::move(items)));
}

void length(Call& c) {
  c.result(ops::constant(Literal::scalar<int64_t>(static_cast<int64_t>(list(c, 0).items.size()))));
}

void concat_from(Call& c) {
  const auto& items = list(c, 0).items;
  c.require(!items.empty(), "the sequence is empty");
  const bool fresh = c.integer("new_axis", 0) != 0;
  std::vector<Value> parts;
  for (const Item& each : items) {
    c.require(each.kind == Kind::kTensor, "the sequence holds no tensors");
    const Shape& shape = each.value.shape();
    const int64_t axis = c.axis(c.integer("axis"), shape.rank() + (fresh ? 1 : 0));
    parts.push_back(fresh ? ops::reshape(each.value, shape.inserted(static_cast<int>(axis), 1).vector()) : each.value);
  }
  const int64_t axis = c.axis(c.integer("axis"), parts[0].shape().rank());
  c.result(0, Item(items[0].elem, parts.size() == 1 ? parts[0] : ops::concat(parts, axis)));
}

void split_to(Call& c) {
  const Value& x = c.x(0);
  const int axis = static_cast<int>(c.axis(c.integer("axis", 0), x.shape().rank()));
  const int64_t size = x.shape()[axis];
  Ints parts;
  bool keep = true;
  if (size > kMaxItems) c.unsupported(cat("a sequence of up to ", size, " parts; at most ", kMaxItems));
  if (!c.has(1)) {
    keep = c.integer("keepdims", 1) != 0;
    parts.assign(static_cast<size_t>(size), 1);
  } else if (c.rank(1) == 0) {
    const int64_t each = c.known_int(1);
    c.require(each >= 1, cat("parts of ", each));
    for (int64_t begin = 0; begin < size; begin += each) parts.push_back(std::min(each, size - begin));
  } else {
    parts = c.known_ints(1);
  }
  std::vector<Item> items;
  int64_t begin = 0;
  for (int64_t each : parts) {
    c.require(each >= 0 && each <= size - begin, cat("parts ", parts, " of ", size));
    Value part = ops::slice_axis(x, axis, begin, begin + each);
    if (!keep) part = ops::reshape(part, x.shape().without(axis).vector());
    items.emplace_back(c.elem(0), part);
    begin += each;
  }
  c.result(0, Item::sequence(c.elem(0), std::move(items)));
}

void map(Call& c) {
  const Subgraph body = c.subgraph("body");
  const auto count = list(c, 0).items.size();
  std::vector<std::vector<Item>> results(static_cast<size_t>(body.outputs));
  for (size_t k = 0; k < count; ++k) {
    std::vector<Item> inputs;
    for (int i = 0; i < c.inputs(); ++i) {
      const Item& item = c.item(i);
      if (item.kind != Kind::kSequence) {
        inputs.push_back(item);
        continue;
      }
      c.require(item.items.size() == count, "the sequences differ in length");
      inputs.push_back(item.items[k]);
    }
    const auto outputs = c.build(body, inputs);
    for (size_t o = 0; o < outputs.size(); ++o) results[o].push_back(element(c, outputs[o]));
  }
  for (size_t o = 0; o < results.size(); ++o) {
    const Elem elem = results[o].empty() ? Elem::kNone : results[o][0].elem;
    c.result(static_cast<int>(o), Item::sequence(elem, std::move(results[o])));
  }
}

void optional(Call& c) {
  if (c.inputs() == 0) {
    Item nothing;
    nothing.optional = true;
    nothing.elem = c.type_elem("type");
    c.result(0, std::move(nothing));
    return;
  }
  Item item = c.item(0);
  item.optional = true;
  c.result(0, std::move(item));
}

void has_element(Call& c) {
  const bool has = c.inputs() > 0 && c.has(0);
  c.result(ops::constant(Literal::scalar<bool>(has)));
}

void get_element(Call& c) {
  Item item = c.item(0);
  c.require(item.kind != Kind::kNothing, "the optional holds nothing");
  item.optional = false;
  c.result(0, std::move(item));
}

}  // namespace

std::span<const Mapping> sequence_mappings() {
  static constexpr Mapping table[] = {
      {"ConcatFromSequence", concat_from, 11},
      {"Optional", optional, 15},
      {"OptionalGetElement", get_element, 15},
      {"OptionalHasElement", has_element, 15},
      {"SequenceAt", at, 11},
      {"SequenceConstruct", construct, 11},
      {"SequenceEmpty", empty, 11},
      {"SequenceErase", erase, 11},
      {"SequenceInsert", insert, 11},
      {"SequenceLength", length, 11},
      {"SequenceMap", map, 17},
      {"SplitToSequence", split_to, 11},
  };
  return table;
}

}  // namespace trireme::formats::onnx
