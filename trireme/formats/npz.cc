#include "trireme/formats/npz.h"

#include <vector>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/formats/npy.h"
#include "trireme/formats/zip.h"

namespace trireme::formats {

namespace {

constexpr std::string_view kSuffix = ".npy";
constexpr uint64_t kMostHeader = 1 << 17;  // what NumPy itself accepts is far below

std::span<const std::byte> bytes_of(const Literal& literal) {
  return {static_cast<const std::byte*>(literal.data()), literal.bytes()};
}

}  // namespace

std::map<std::string, Literal> parse_npz(std::shared_ptr<const void> owner, std::span<const std::byte> bytes,
                                         const std::string& source) {
  const ZipReader archive(std::move(owner), bytes, source);
  std::map<std::string, Literal> arrays;
  for (const ZipReader::Entry& entry : archive.entries()) {
    const std::string member = cat(source, ": ", entry.name.substr(0, 200));
    if (!entry.name.ends_with(kSuffix)) {
      throw Error(Code::kUnsupported, cat("npz file '", member, "' is no .npy array"));
    }
    const NpyHeader header = parse_npy_header(bytes_of(archive.read_beginning(entry, kMostHeader)), member);
    header.check_payload(entry.bytes - header.bytes, member);
    const auto content = std::make_shared<const Literal>(archive.read(entry));
    arrays.emplace(entry.name.substr(0, entry.name.size() - kSuffix.size()),
                   parse_npy(bytes_of(*content), member, content));
  }
  return arrays;
}

std::map<std::string, Literal> read_npz(const std::string& path) {
  const std::shared_ptr<const MappedFile> file = MappedFile::open(path);
  return parse_npz(file, file->bytes(), path);
}

void write_npz(const std::string& path, const std::map<std::string, Literal>& arrays, bool deflate) {
  std::vector<std::string> headers;
  headers.reserve(arrays.size());  // the parts point into it
  std::vector<ZipPart> parts;
  for (const auto& [name, array] : arrays) {
    if (name.empty() || name.find('\0') != std::string::npos) {
      throw Error(Code::kInvalidArgument,
                  cat("cannot write '", path, "': an array's name is empty or has a zero byte"));
    }
    headers.push_back(npy_header(array, path));
    parts.push_back({cat(name, kSuffix), {std::as_bytes(std::span<const char>(headers.back())), bytes_of(array)}});
  }
  write_zip(path, parts, deflate);
}

}  // namespace trireme::formats
