#include "trireme/formats/safetensors.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <vector>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"

namespace trireme::formats {

namespace {

using nlohmann::json;

constexpr uint64_t kMaxHeader = 100'000'000;  // the limit of the published format
constexpr size_t kPayloadAlignment = 64;
constexpr const char* kMetadata = "__metadata__";

struct FormatDType {
  DType dtype;
  const char* name;
};
constexpr FormatDType kDTypes[] = {{f64, "F64"}, {f32, "F32"}, {f16, "F16"},     {bf16, "BF16"}, {i8, "I8"},
                                   {i16, "I16"}, {i32, "I32"}, {i64, "I64"},     {u8, "U8"},     {u16, "U16"},
                                   {u32, "U32"}, {u64, "U64"}, {boolean, "BOOL"}};
// Types of the format that Trireme has no element type for.
constexpr const char* kForeignDTypes[] = {"F8_E4M3", "F8_E5M2", "F8_E8M0", "F4", "F6_E2M3", "F6_E3M2", "C64"};

// One tensor as the header states it; [begin, end) in bytes from the start of the payload.
struct Entry {
  std::string name;
  DType dtype;
  Shape shape;
  uint64_t begin, end;
};

// Reads one file's header; every refusal names the file and, where there is one, the tensor.
class Reader {
 public:
  Reader(std::span<const std::byte> bytes, const std::string& source) : bytes_(bytes), source_(source) {}

  Safetensors read(const std::shared_ptr<const void>& owner) {
    Safetensors out;
    const json header = parse_header();
    std::vector<Entry> entries;
    for (const auto& [name, value] : header.items()) {
      if (name == kMetadata) {
        out.metadata = metadata(value);
      } else {
        entries.push_back(entry(name, value));
      }
    }
    check_cover(entries);
    for (const Entry& entry : entries) out.tensors.emplace(entry.name, literal(entry, owner));
    return out;
  }

 private:
  [[noreturn]] void refuse(const std::string& what, Code code = Code::kDataLoss) const {
    throw Error(code, cat("safetensors file '", source_, "': ", what));
  }
  [[noreturn]] void refuse_tensor(const std::string& name, const std::string& what, Code code = Code::kDataLoss) const {
    refuse(cat("tensor '", name.substr(0, 200), "': ", what), code);
  }

  json parse_header() {
    if (bytes_.size() < 8) {
      refuse(cat("it has ", bytes_.size(), " bytes, but the header length alone takes 8: the file is cut short"));
    }
    uint64_t length = 0;
    for (size_t i = 8; i-- > 0;) length = length << 8 | std::to_integer<uint64_t>(bytes_[i]);
    if (length > kMaxHeader) {
      refuse(cat("it claims a header of ", length, " bytes; the format allows ", kMaxHeader,
                 ": this is no safetensors file, or its start is damaged"));
    }
    if (length > bytes_.size() - 8) {
      refuse(cat("it claims a header of ", length, " bytes, but only ", bytes_.size() - 8,
                 " follow: the file is cut short or its start is damaged"));
    }
    const char* text = reinterpret_cast<const char*>(bytes_.data()) + 8;
    if (length == 0 || text[0] != '{') refuse("the header does not start with '{'");
    payload_ = bytes_.subspan(8 + length);

    // The parser keeps the last of two equal keys; the format forbids them. Nesting is at most name -> field -> list.
    std::vector<std::set<std::string>> keys;
    const auto watch = [&](int depth, json::parse_event_t event, json& value) {
      if (depth > 3) refuse("the header is nested deeper than a list inside a tensor's entry");
      if (event == json::parse_event_t::object_start) keys.emplace_back();
      if (event == json::parse_event_t::object_end) keys.pop_back();
      if (event == json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) {
        refuse(cat("the name '", value.get<std::string>().substr(0, 200), "' appears twice in the header"));
      }
      return true;
    };
    try {
      return json::parse(text, text + length, watch);
    } catch (const json::exception& error) {
      refuse(cat("the header is not valid JSON: ", error.what()));
    }
  }

  std::map<std::string, std::string> metadata(const json& value) const {
    if (!value.is_object()) refuse("__metadata__ is not a table of strings");
    std::map<std::string, std::string> out;
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string()) refuse(cat("__metadata__ entry '", key.substr(0, 200), "' is not a string"));
      out.emplace(key, text.get<std::string>());
    }
    return out;
  }

  uint64_t number(const std::string& name, const json& value, std::string_view what) const {
    if (!value.is_number_unsigned()) refuse_tensor(name, cat(what, " holds something other than whole numbers >= 0"));
    return value.get<uint64_t>();
  }

  Entry entry(const std::string& name, const json& value) const {
    if (!value.is_object()) refuse_tensor(name, "its entry is not a JSON object");
    for (const auto& item : value.items()) {
      if (item.key() != "dtype" && item.key() != "shape" && item.key() != "data_offsets") {
        refuse_tensor(name, cat("unknown field '", item.key().substr(0, 200), "'"));
      }
    }
    for (const char* field : {"dtype", "shape", "data_offsets"}) {
      if (!value.contains(field)) refuse_tensor(name, cat("it has no '", field, "'"));
    }
    const DType type = dtype(name, value["dtype"]);

    if (!value["shape"].is_array()) refuse_tensor(name, "'shape' is not a list");
    std::vector<int64_t> sizes;
    for (const json& size : value["shape"]) {
      const uint64_t wide = number(name, size, "'shape'");
      if (wide > static_cast<uint64_t>(kMaxElements)) {
        refuse_tensor(name, cat("its shape has an axis of ", wide, "; sizes stay below 2^48"));
      }
      sizes.push_back(static_cast<int64_t>(wide));
    }
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

    const json& offsets = value["data_offsets"];
    if (!offsets.is_array() || offsets.size() != 2) refuse_tensor(name, "'data_offsets' is not [begin, end]");
    const uint64_t begin = number(name, offsets[0], "'data_offsets'"), end = number(name, offsets[1], "'data_offsets'");
    if (begin > end) refuse_tensor(name, cat("its data ends (", end, ") before it begins (", begin, ")"));
    if (end > payload_.size()) {
      refuse_tensor(name, cat("its data reaches byte ", end, " of the payload, which has ", payload_.size(),
                              ": the file is cut short or the header is damaged"));
    }
    const uint64_t needed = static_cast<uint64_t>(shape.elements()) * size_of(type);
    if (end - begin != needed) {
      refuse_tensor(name, cat(type, shape, " takes ", needed, " bytes, but its data_offsets hold ", end - begin));
    }
    return {name, type, shape, begin, end};
  }

  DType dtype(const std::string& name, const json& value) const {
    if (!value.is_string()) refuse_tensor(name, "'dtype' is not a string");
    const std::string text = value.get<std::string>();
    std::vector<std::string> known;
    for (const FormatDType& type : kDTypes) {
      if (text == type.name) return type.dtype;
      known.emplace_back(type.name);
    }
    for (const char* foreign : kForeignDTypes) {
      if (text == foreign) {
        refuse_tensor(name,
                      cat("element type ", text, " has no counterpart here; convert it to one of ", join(known, ", ")),
                      Code::kUnsupported);
      }
    }
    refuse_tensor(name, cat("unknown element type '", text.substr(0, 40), "'; the format has ", join(known, ", ")));
  }

  // Sorted by place, each tensor must begin where the one before it ended, and the last at the end of the payload.
  void check_cover(std::vector<Entry>& entries) const {
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
      return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
    });
    uint64_t covered = 0;
    const Entry* before = nullptr;
    for (const Entry& entry : entries) {
      if (entry.begin < covered) {
        refuse_tensor(entry.name, cat("its data [", entry.begin, ", ", entry.end, ") overlaps that of '",
                                      before->name.substr(0, 200), "' [", before->begin, ", ", before->end, ")"));
      }
      if (entry.begin > covered) {
        refuse_tensor(entry.name, cat("bytes ", covered, " to ", entry.begin, " before its data belong to no tensor"));
      }
      covered = entry.end;
      before = &entry;
    }
    if (covered != payload_.size()) {
      refuse(cat("the last ", payload_.size() - covered, " of ", payload_.size(),
                 " payload bytes belong to no tensor: the header is damaged or something was appended"));
    }
  }

  Literal literal(const Entry& entry, const std::shared_ptr<const void>& owner) const {
    const std::byte* data = payload_.data() + entry.begin;
    if (entry.dtype == boolean) {
      const auto bad =
          std::find_if(data, data + (entry.end - entry.begin), [](std::byte b) { return b > std::byte{1}; });
      if (bad != data + (entry.end - entry.begin)) {
        refuse_tensor(entry.name, cat("element ", bad - data, " of a BOOL tensor is the byte ",
                                      std::to_integer<int>(*bad), "; only 0 and 1 are allowed"));
      }
    }
    if (reinterpret_cast<uintptr_t>(data) % size_of(entry.dtype) == 0 && entry.end > entry.begin) {
      return {entry.dtype, entry.shape, owner, data};
    }
    Literal copy = Literal::zeros(entry.dtype, entry.shape);
    if (entry.end > entry.begin) std::memcpy(copy.mutable_data(), data, entry.end - entry.begin);
    return copy;
  }

  std::span<const std::byte> bytes_;
  std::span<const std::byte> payload_;
  const std::string& source_;
};

const char* format_name(DType dtype) {
  for (const FormatDType& type : kDTypes) {
    if (type.dtype == dtype) return type.name;
  }
  internal_error(__FILE__, __LINE__, "known dtype", "an element type without a safetensors name");
}

}  // namespace

Safetensors parse_safetensors(std::shared_ptr<const void> owner, std::span<const std::byte> bytes,
                              const std::string& source) {
  return Reader(bytes, source).read(owner);
}

Safetensors read_safetensors(const std::string& path) {
  const std::shared_ptr<const MappedFile> file = MappedFile::open(path);
  return parse_safetensors(file, file->bytes(), path);
}

void write_safetensors(const std::string& path, const Safetensors& content) {
  std::vector<std::pair<const std::string*, const Literal*>> order;
  for (const auto& [name, literal] : content.tensors) {
    if (name == kMetadata) {
      throw Error(Code::kInvalidArgument,
                  cat("cannot write '", path, "': a tensor may not be called ", kMetadata, "; rename it"));
    }
    if (!literal) {
      throw Error(Code::kInvalidArgument, cat("cannot write '", path, "': tensor '", name, "' has no value"));
    }
    order.emplace_back(&name, &literal);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return size_of(a.second->dtype()) > size_of(b.second->dtype());
  });

  std::string header;
  try {
    nlohmann::ordered_json json;
    if (!content.metadata.empty()) json[kMetadata] = content.metadata;
    uint64_t offset = 0;
    for (const auto& [name, literal] : order) {
      const uint64_t end = offset + literal->bytes();
      json[*name] = {{"dtype", format_name(literal->dtype())},
                     {"shape", literal->shape().vector()},
                     {"data_offsets", {offset, end}}};
      offset = end;
    }
    header = order.empty() && content.metadata.empty() ? "{}" : json.dump();
  } catch (const json::exception& error) {
    throw Error(Code::kInvalidArgument,
                cat("cannot write '", path, "': a name or metadata text is not UTF-8: ", error.what()));
  }
  header.append((kPayloadAlignment - (8 + header.size()) % kPayloadAlignment) % kPayloadAlignment, ' ');
  if (header.size() > kMaxHeader) {
    throw Error(Code::kInvalidArgument,
                cat("cannot write '", path, "': its header would take ", header.size(), " bytes; the format allows ",
                    kMaxHeader, ": split the tensors over several files"));
  }

  AtomicFile file(path);
  char length[8];
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i) & 0xFF);
  file.write(std::string_view(length, 8));
  file.write(header);
  for (const auto& [name, literal] : order) {
    file.write(std::span(static_cast<const std::byte*>(literal->data()), literal->bytes()));
  }
  file.commit();
}

}  // namespace trireme::formats
