#include "trireme/formats/pytorch.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <optional>
#include <vector>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/formats/pickle.h"
#include "trireme/formats/zip.h"

namespace trireme::formats {

namespace {

using Kind = PickleValue::Kind;

struct NamedType {
  std::string_view name;
  DType dtype;
};
// Names of storages, and of element types where the storage is untyped.
constexpr NamedType kStorages[] = {{"torch.DoubleStorage", f64}, {"torch.FloatStorage", f32},
                                   {"torch.HalfStorage", f16},   {"torch.BFloat16Storage", bf16},
                                   {"torch.CharStorage", i8},    {"torch.ShortStorage", i16},
                                   {"torch.IntStorage", i32},    {"torch.LongStorage", i64},
                                   {"torch.ByteStorage", u8},    {"torch.BoolStorage", boolean}};
constexpr NamedType kElements[] = {{"torch.float64", f64},   {"torch.float32", f32}, {"torch.float16", f16},
                                   {"torch.bfloat16", bf16}, {"torch.int8", i8},     {"torch.int16", i16},
                                   {"torch.int32", i32},     {"torch.int64", i64},   {"torch.uint8", u8},
                                   {"torch.uint16", u16},    {"torch.uint32", u32},  {"torch.uint64", u64},
                                   {"torch.bool", boolean}};
constexpr std::string_view kUntyped[] = {"torch.UntypedStorage", "torch.storage.UntypedStorage"};

constexpr std::string_view kTensor2 = "torch._utils._rebuild_tensor_v2", kTensor3 = "torch._utils._rebuild_tensor_v3",
                           kParameter = "torch._utils._rebuild_parameter",
                           kParameterWithState = "torch._utils._rebuild_parameter_with_state",
                           kFromType = "torch._tensor._rebuild_from_type_v2";
// Containers that are walked like the plain ones, and values that carry no tensor.
constexpr std::string_view kDicts[] = {"collections.OrderedDict", "collections.defaultdict", "collections.Counter"};
constexpr std::string_view kHarmless[] = {"torch.Size",
                                          "torch.device",
                                          "torch.Tensor",
                                          "torch.nn.parameter.Parameter",
                                          "builtins.set",
                                          "builtins.list",
                                          "builtins.dict",
                                          "builtins.int",
                                          "builtins.float",
                                          "builtins.bytes",
                                          "builtins.frozenset",
                                          "__builtin__.set",
                                          "__builtin__.list",
                                          "__builtin__.dict",
                                          "__builtin__.int",
                                          "__builtin__.float",
                                          "_codecs.encode",
                                          "numpy.dtype",
                                          "numpy.core.multiarray.scalar",
                                          "numpy._core.multiarray.scalar"};

// Known to PyTorch, and without a counterpart here: allowed through the pickle, so that the message names the tensor.
constexpr std::string_view kForeign[] = {"torch.ComplexFloatStorage",
                                         "torch.ComplexDoubleStorage",
                                         "torch.ComplexHalfStorage",
                                         "torch.QInt8Storage",
                                         "torch.QUInt8Storage",
                                         "torch.QInt32Storage",
                                         "torch.complex64",
                                         "torch.complex128",
                                         "torch.float8_e4m3fn",
                                         "torch.float8_e5m2",
                                         "torch._utils._rebuild_sparse_tensor",
                                         "torch._utils._rebuild_qtensor"};

template <class List>
bool among(std::string_view name, const List& list) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}
template <class List>
const NamedType* type_called(std::string_view name, const List& list) {
  const auto found = std::find_if(std::begin(list), std::end(list), [&](const NamedType& t) { return t.name == name; });
  return found == std::end(list) ? nullptr : &*found;
}

bool allowed(std::string_view name) {
  return type_called(name, kStorages) != nullptr || type_called(name, kElements) != nullptr || among(name, kUntyped) ||
         among(name, kDicts) || among(name, kHarmless) || among(name, kForeign) || name == kTensor2 ||
         name == kTensor3 || name == kParameter || name == kParameterWithState || name == kFromType;
}

constexpr int kMostDepth = 64;
constexpr uint64_t kMostVisits = uint64_t{1} << 22;
constexpr uint64_t kMostPickle = uint64_t{256} << 20;
constexpr uint64_t kFreeBytes = uint64_t{64} << 20, kMostTimes = 16;

// The bytes behind tensors, dense elements of one type.
struct Storage {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;
};

// Walks the values of a pickle and makes tensors of what lies in storages.
class Walker {
 public:
  // Gives the storage with that key, which must have this many bytes.
  using Fetch = std::function<Storage(const std::string& key, uint64_t bytes)>;

  Walker(const std::string& source, uint64_t file_bytes, Fetch fetch)
      : source_(source), budget_(kFreeBytes + kMostTimes * file_bytes), fetch_(std::move(fetch)) {}

  Pytorch walk(const PickleValue& root) {
    visit(root, "", 0);
    return std::move(out_);
  }

  [[noreturn]] void refuse(const std::string& what, Code code = Code::kDataLoss) const {
    throw Error(code, cat("PyTorch file '", source_, "': ", what));
  }

 private:
  [[noreturn]] void refuse_tensor(const std::string& name, const std::string& what, Code code = Code::kDataLoss) const {
    refuse(cat("tensor '", name.substr(0, 200), "': ", what), code);
  }

  void visit(const PickleValue& value, const std::string& name, int depth) {
    if (depth > kMostDepth) {
      refuse(cat("values are nested deeper than ", kMostDepth, ", or hold themselves, at '", name.substr(0, 80), "'"));
    }
    if (++visits_ > kMostVisits) refuse("its values hold each other too often to be walked");
    charge(name, name.size());
    switch (value.kind) {
      case Kind::kTuple:
      case Kind::kList:
        for (size_t i = 0; i < value.items.size(); ++i) {
          if (is_container(*value.items[i])) visit(*value.items[i], inner(name, std::to_string(i)), depth + 1);
        }
        return;
      case Kind::kDict: return visit_pairs(value, name, depth);
      case Kind::kCall: return visit_call(value, name, depth);
      case Kind::kBool: return fact(name, value.integer != 0 ? "true" : "false");
      case Kind::kInteger: return fact(name, std::to_string(value.integer));
      case Kind::kFloat: return fact(name, number_text(value.number));
      case Kind::kText: return fact(name, value.text);
      default: return;
    }
  }

  static bool is_container(const PickleValue& value) {
    return value.kind == Kind::kTuple || value.kind == Kind::kList || value.kind == Kind::kDict ||
           value.kind == Kind::kCall;
  }

  void visit_pairs(const PickleValue& dict, const std::string& name, int depth) {
    for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      const PickleValue& key = *dict.items[i];
      if (key.kind == Kind::kText) visit(*dict.items[i + 1], inner(name, key.text), depth + 1);
      else if (key.kind == Kind::kInteger)
        visit(*dict.items[i + 1], inner(name, std::to_string(key.integer)), depth + 1);
    }
  }

  void visit_call(const PickleValue& call, const std::string& name, int depth) {
    if (among(call.text, kDicts)) {
      // Older Pythons give the pairs as an argument: OrderedDict([[key, value], ...]).
      for (const PickleValue* argument : call.arguments->items) {
        if (argument->kind == Kind::kDict) visit_pairs(*argument, name, depth + 1);
        if (argument->kind != Kind::kList) continue;
        for (const PickleValue* pair : argument->items) {
          if (pair->items.size() == 2 && pair->items[0]->kind == Kind::kText) {
            visit(*pair->items[1], inner(name, pair->items[0]->text), depth + 1);
          }
        }
      }
      return visit_pairs(call, name, depth);
    }
    if (among(call.text, kForeign)) {
      refuse_tensor(name, cat("'", call.text, "' has no counterpart here; save dense tensors"), Code::kUnsupported);
    }
    if (among(call.text, kHarmless)) return;
    const std::string& final_name = name.empty() ? kAlone : name;
    Literal tensor = tensor_of(call, final_name, 0);
    charge(final_name, tensor.bytes());
    if (!out_.tensors.emplace(final_name, std::move(tensor)).second) {
      refuse_tensor(final_name, "two tensors have this name once dictionaries are joined by dots");
    }
  }

  void fact(const std::string& name, std::string text) {
    if (name.empty()) return;
    charge(name, text.size());
    out_.facts.emplace(name, std::move(text));
  }

  // What is kept counts each time, also where the file holds it once.
  void check_budget(const std::string& name, uint64_t bytes) const {
    if (bytes > budget_) refuse_tensor(name, "with it the values take far more than the file holds");
  }
  void charge(const std::string& name, uint64_t bytes) {
    check_budget(name, bytes);
    budget_ -= bytes;
  }

  static std::string inner(const std::string& name, const std::string& part) {
    return name.empty() ? part : cat(name, ".", part);
  }

  // The item of a call's arguments, of the kind wanted.
  const PickleValue& argument(const PickleValue& call, size_t index, std::optional<Kind> kind,
                              const std::string& name) const {
    const auto& items = call.arguments->items;
    if (index >= items.size() || (kind && items[index]->kind != *kind)) {
      refuse_tensor(name, cat("argument ", index, " of ", call.text, " is missing or of a wrong kind"));
    }
    return *items[index];
  }

  // sizes, strides: a tuple of whole numbers, or torch.Size of one.
  std::vector<int64_t> integers(const PickleValue& given, const std::string& name) const {
    const PickleValue* value = &given;
    if (value->kind == Kind::kCall && value->text == "torch.Size" && value->arguments->items.size() == 1) {
      value = value->arguments->items[0];
    }
    if (value->kind != Kind::kTuple && value->kind != Kind::kList) refuse_tensor(name, "its sizes are no list");
    std::vector<int64_t> out;
    for (const PickleValue* item : value->items) {
      if (item->kind != Kind::kInteger || item->integer < 0) {
        refuse_tensor(name, "a size or stride is no whole number of 0 or more");
      }
      out.push_back(item->integer);
    }
    return out;
  }

  Literal tensor_of(const PickleValue& call, const std::string& name, int depth) {
    if (call.kind != Kind::kCall || depth > 4) refuse_tensor(name, "it is made of something that is no tensor");
    if (call.text == kParameter || call.text == kParameterWithState) {
      return tensor_of(argument(call, 0, Kind::kCall, name), name, depth + 1);
    }
    if (call.text == kFromType) {  // (function, type, its arguments, attributes)
      PickleValue plain;
      plain.kind = Kind::kCall;
      plain.text = argument(call, 0, Kind::kName, name).text;
      plain.arguments = &argument(call, 2, Kind::kTuple, name);
      return tensor_of(plain, name, depth + 1);
    }
    // (storage, offset, sizes, strides, requires_grad, hooks[, element type of an untyped storage])
    const bool untyped = call.text == kTensor3;
    if (!untyped && call.text != kTensor2) {
      refuse_tensor(name, cat("'", call.text, "' makes no tensor here"), Code::kUnsupported);
    }
    const DType type = element_type(untyped ? argument(call, 6, Kind::kName, name).text
                                            : storage_type(argument(call, 0, Kind::kPersistent, name), name),
                                    name);
    const Storage storage = storage_of(argument(call, 0, Kind::kPersistent, name), size_of(type), untyped, name);
    const int64_t offset = argument(call, 1, Kind::kInteger, name).integer;
    const auto sizes = integers(argument(call, 2, {}, name), name),
               strides = integers(argument(call, 3, {}, name), name);
    if (sizes.size() != strides.size()) refuse_tensor(name, "it has not as many strides as sizes");
    if (sizes.size() > static_cast<size_t>(kMaxRank)) {
      refuse_tensor(name, cat("it has ", sizes.size(), " axes; Trireme's tensors have at most ", kMaxRank),
                    Code::kUnsupported);
    }
    Shape shape;
    try {
      shape = Shape(sizes);
    } catch (const Error& error) {
      refuse_tensor(name, error.what());
    }
    return gathered(storage, type, shape, strides, offset, name);
  }

  std::string storage_type(const PickleValue& persistent, const std::string& name) const {
    return storage_item(persistent, 1, Kind::kName, name).text;
  }
  // ("storage", type, key, location, elements[, view]).
  const PickleValue& storage_item(const PickleValue& persistent, size_t index, Kind kind,
                                  const std::string& name) const {
    const PickleValue& id = *persistent.arguments;
    if (id.kind != Kind::kTuple || index >= id.items.size() || id.items[index]->kind != kind) {
      refuse_tensor(name, cat("item ", index, " of its storage's description is missing or of a wrong kind"));
    }
    return *id.items[index];
  }
  DType element_type(const std::string& called, const std::string& name) const {
    for (const auto* type : {type_called(called, kStorages), type_called(called, kElements)}) {
      if (type != nullptr) return type->dtype;
    }
    refuse_tensor(name, cat("element type '", called, "' has no counterpart here; convert it before saving"),
                  Code::kUnsupported);
  }
  Storage storage_of(const PickleValue& persistent, size_t width, bool untyped, const std::string& name) {
    const std::string& key = storage_item(persistent, 2, Kind::kText, name).text;
    const int64_t count = storage_item(persistent, 4, Kind::kInteger, name).integer;
    const uint64_t unit = untyped ? 1 : width;
    if (count < 0 || count > kMaxElements) refuse_tensor(name, cat("its storage claims ", count, " elements"));
    // Files before 0.4 may cut a view out of a storage: (key, offset, elements).
    const auto& items = persistent.arguments->items;
    if (items.size() > 5 && items[5]->kind != Kind::kNone) {
      refuse_tensor(name, "its storage is a view of another, as only PyTorch before 0.4 wrote; save it anew",
                    Code::kUnsupported);
    }
    check_budget(name, static_cast<uint64_t>(count) * unit);  // before an archive unpacks it
    return fetch_(key, static_cast<uint64_t>(count) * unit);
  }

  Literal gathered(const Storage& storage, DType type, const Shape& shape, const std::vector<int64_t>& strides,
                   int64_t offset, const std::string& name) const {
    const size_t width = size_of(type);
    const uint64_t count = storage.bytes.size() / width;
    if (shape.elements() == 0) return Literal::zeros(type, shape);
    // The last element it reads, in arithmetic that cannot run over.
    __int128 last = offset;
    for (size_t axis = 0; axis < strides.size(); ++axis) {
      last += static_cast<__int128>(shape[static_cast<int>(axis)] - 1) * strides[axis];
    }
    if (offset < 0 || last >= static_cast<__int128>(count)) {
      refuse_tensor(name, cat(type, shape, " from element ", offset, " reaches beyond the ", count, " of its storage"));
    }
    check_budget(name, static_cast<uint64_t>(shape.elements()) * width);
    const std::byte* begin = storage.bytes.data() + static_cast<size_t>(offset) * width;
    Strides places{};
    std::copy(strides.begin(), strides.end(), places.begin());
    const bool dense = is_dense(shape, places);
    Literal out;
    if (dense && reinterpret_cast<uintptr_t>(begin) % width == 0) {
      out = Literal(type, shape, storage.owner, begin);
    } else {
      out = Literal::zeros(type, shape);
      copy(begin, static_cast<std::byte*>(out.mutable_data()), shape, strides, width);
    }
    if (type == boolean) {
      const auto flags = std::span(static_cast<const std::byte*>(out.data()), out.bytes());
      if (std::any_of(flags.begin(), flags.end(), [](std::byte b) { return b > std::byte{1}; })) {
        refuse_tensor(name, "an element of a bool tensor is neither 0 nor 1");
      }
    }
    return out;
  }

  // Elements at strides, gathered in row-major order.
  static void copy(const std::byte* from, std::byte* to, const Shape& shape, const std::vector<int64_t>& strides,
                   size_t width) {
    std::vector<int64_t> at(strides.size(), 0);
    int64_t place = 0;
    for (int64_t i = 0; i < shape.elements(); ++i) {
      std::memcpy(to + static_cast<size_t>(i) * width, from + static_cast<size_t>(place) * width, width);
      for (size_t axis = at.size(); axis-- > 0;) {
        place += strides[axis];
        if (++at[axis] < shape[static_cast<int>(axis)]) break;
        place -= at[axis] * strides[axis];
        at[axis] = 0;
      }
    }
  }

  inline static const std::string kAlone = "tensor";
  const std::string& source_;
  uint64_t budget_;  // bytes that tensors, names and facts may still take
  Fetch fetch_;
  uint64_t visits_ = 0;
  Pytorch out_;
};

[[noreturn]] void refuse(const std::string& source, const std::string& what, Code code = Code::kDataLoss) {
  throw Error(code, cat("PyTorch file '", source, "': ", what));
}

std::span<const std::byte> bytes_of(const Literal& literal) {
  return {static_cast<const std::byte*>(literal.data()), literal.bytes()};
}

// A zip archive: <name>/data.pkl, one entry <name>/data/<key> per storage, <name>/byteorder.
Pytorch parse_zip(std::shared_ptr<const void> owner, std::span<const std::byte> bytes, const std::string& source) {
  const ZipReader archive(std::move(owner), bytes, source);
  constexpr std::string_view kPickle = "data.pkl";
  const ZipReader::Entry* main = nullptr;
  for (const ZipReader::Entry& entry : archive.entries()) {
    const bool found = entry.name == kPickle || entry.name.ends_with(cat("/", kPickle));
    if (found && (main == nullptr || entry.name.size() < main->name.size())) main = &entry;
  }
  if (main == nullptr) refuse(source, "the archive has no data.pkl; is it another kind of zip file?");
  const std::string folder = main->name.substr(0, main->name.size() - kPickle.size());
  if (const auto* order = archive.find(folder + "byteorder")) {
    const Literal text = archive.read_beginning(*order, 16);
    const std::string_view word(static_cast<const char*>(text.data()), text.bytes());
    if (word != "little") refuse(source, "it was saved on a big-endian machine", Code::kUnsupported);
  }
  if (main->bytes > kMostPickle) {
    refuse(source, cat("its pickle takes ", main->bytes, " bytes; at most ", kMostPickle, " are read"),
           Code::kUnsupported);
  }
  const Literal pickle = archive.read(*main);
  const Pickle values(bytes_of(pickle), source, allowed);
  std::map<std::string, Storage> storages;
  Walker walker(source, bytes.size(), [&](const std::string& key, uint64_t wanted) {
    const ZipReader::Entry* entry = archive.find(cat(folder, "data/", key));
    if (entry == nullptr) refuse(source, cat("it lacks storage '", key.substr(0, 80), "'"));
    if (entry->bytes != wanted) {
      refuse(source,
             cat("storage '", key.substr(0, 80), "' takes ", wanted, " bytes, but the archive has ", entry->bytes));
    }
    Storage& storage = storages[key];
    if (!storage.owner) {
      const auto content = std::make_shared<const Literal>(archive.read(*entry));
      storage = {content, bytes_of(*content)};
    }
    return storage;
  });
  return walker.walk(values.root());
}

// Before 1.6: pickles of a magic number, a version, facts about the machine, the values and the list of storage keys;
// then, in that list's order, each storage's count of elements (u64) and its elements.
Pytorch parse_legacy(const std::shared_ptr<const void>& owner, std::span<const std::byte> bytes,
                     const std::string& source) {
  size_t at = 0;
  const auto next = [&] {
    Pickle pickle(bytes.subspan(at), source, allowed);
    at += pickle.bytes();
    return pickle;
  };
  const Pickle magic = next(), version = next(), machine = next();
  constexpr std::string_view kMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
  if (magic.root().text != kMagic) refuse(source, "it is neither a zip archive nor a checkpoint of PyTorch before 1.6");
  if (version.root().kind != Kind::kInteger || version.root().integer != 1001) {
    refuse(source, "its format version is not 1001", Code::kUnsupported);
  }
  const auto& facts = machine.root().items;
  for (size_t i = 0; i + 1 < facts.size(); i += 2) {
    if (facts[i]->text == "little_endian" && facts[i + 1]->integer == 0) {
      refuse(source, "it was saved on a big-endian machine", Code::kUnsupported);
    }
  }
  const Pickle values = next(), keys = next();

  // How wide a storage's elements are stands where the values refer to it.
  std::map<std::string, size_t> widths;
  for (const PickleValue& value : values.all()) {
    if (value.kind != Kind::kPersistent || value.arguments->items.size() < 3) continue;
    const auto* type = type_called(value.arguments->items[1]->text, kStorages);
    if (type != nullptr) widths.emplace(value.arguments->items[2]->text, size_of(type->dtype));
  }
  std::map<std::string, Storage> storages;
  for (const PickleValue* key : keys.root().items) {
    const auto width = widths.find(key->text);
    if (width == widths.end()) refuse(source, cat("storage '", key->text.substr(0, 80), "' is of no known type"));
    uint64_t count = 0;
    if (bytes.size() - at < sizeof count) refuse(source, "it is cut short before a storage");
    std::memcpy(&count, bytes.data() + at, sizeof count);
    at += sizeof count;
    if (count > (bytes.size() - at) / width->second) {
      refuse(source, cat("storage '", key->text.substr(0, 80), "' claims ", count, " elements, but ", bytes.size() - at,
                         " bytes follow: it is cut short"));
    }
    storages[key->text] = {owner, bytes.subspan(at, count * width->second)};
    at += count * width->second;
  }
  Walker walker(source, bytes.size(), [&](const std::string& key, uint64_t wanted) {
    const auto found = storages.find(key);
    if (found == storages.end()) refuse(source, cat("it lacks storage '", key.substr(0, 80), "'"));
    if (found->second.bytes.size() != wanted) {
      refuse(source, cat("storage '", key.substr(0, 80), "' takes ", wanted, " bytes, but the file has ",
                         found->second.bytes.size()));
    }
    return found->second;
  });
  return walker.walk(values.root());
}

}  // namespace

Pytorch parse_pytorch(std::shared_ptr<const void> owner, std::span<const std::byte> bytes, const std::string& source) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("PK")) return parse_zip(std::move(owner), bytes, source);
  if (text.starts_with("\x80\x02")) return parse_legacy(owner, bytes, source);
  refuse(source, "it begins neither like a zip archive nor like a pickle");
}

Pytorch read_pytorch(const std::string& path) {
  const std::shared_ptr<const MappedFile> file = MappedFile::open(path);
  return parse_pytorch(file, file->bytes(), path);
}

}  // namespace trireme::formats
