#include "trireme/formats/zip.h"

#include <zip.h>

#include <algorithm>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"

namespace trireme::formats {

namespace {

constexpr uint64_t kMaxDeflate = 1032;

// Ends with zip_discard: for reading, and for writing that did not come to its end.
struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
using ZipPointer = std::unique_ptr<zip_t, Discard>;
struct FreeSource {
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};
using SourcePointer = std::unique_ptr<zip_source_t, FreeSource>;
struct CloseFile {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
using FilePointer = std::unique_ptr<zip_file_t, CloseFile>;

[[noreturn]] void refuse(const std::string& source, const std::string& what, Code code = Code::kDataLoss) {
  throw Error(code, cat("zip archive '", source, "': ", what));
}

// Opens the archive in `source`, which it keeps.
ZipPointer open_archive(SourcePointer source, int flags, const std::string& name) {
  zip_error_t error;
  zip_error_init(&error);
  ZipPointer archive(zip_open_from_source(source.get(), flags, &error));
  if (archive) {
    (void)source.release();
    return archive;
  }
  const std::string reason = zip_error_strerror(&error);
  zip_error_fini(&error);
  refuse(name, cat("it cannot be opened: ", reason, "; it may be cut short"));
}

SourcePointer made(zip_source_t* source, const std::string& name) {
  if (source == nullptr) refuse(name, "no memory for it", Code::kOutOfMemory);
  return SourcePointer(source);
}

}  // namespace

struct ZipReader::Archive {
  ZipPointer zip;
};

ZipReader::ZipReader(std::shared_ptr<const void> owner, std::span<const std::byte> bytes, std::string source)
    : owner_(std::move(owner)), source_(std::move(source)) {
  constexpr size_t kShortest = 22;  // the record at the end; libzip takes no bytes at all for an empty archive
  if (bytes.size() < kShortest) refuse(source_, cat("it has ", bytes.size(), " bytes; it is cut short"));
  SourcePointer buffer = made(zip_source_buffer_create(bytes.data(), bytes.size(), 0, nullptr), source_);
  archive_ = std::make_unique<Archive>(Archive{open_archive(std::move(buffer), ZIP_RDONLY, source_)});
  const zip_int64_t count = zip_get_num_entries(archive_->zip.get(), 0);
  uint64_t compressed = 0;
  for (zip_int64_t i = 0; i < count; ++i) {
    zip_stat_t stat;
    zip_stat_init(&stat);
    constexpr zip_uint64_t wanted =
        ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    const auto index = static_cast<zip_uint64_t>(i);
    if (zip_stat_index(archive_->zip.get(), index, ZIP_FL_ENC_RAW, &stat) != 0 || (stat.valid & wanted) != wanted) {
      refuse(source_, cat("entry ", i, " is damaged"));
    }
    const std::string name = stat.name;
    const std::string shown = name.substr(0, 200);
    if (!places_.emplace(name, entries_.size()).second) refuse(source_, cat("it has two entries called '", shown, "'"));
    if (stat.encryption_method != ZIP_EM_NONE) {
      refuse(source_, cat("entry '", shown, "' is encrypted; decrypt the file first"), Code::kUnsupported);
    }
    if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE) {
      refuse(source_,
             cat("entry '", shown, "' is packed by method ", stat.comp_method, "; stored and deflated are read"),
             Code::kUnsupported);
    }
    const uint64_t most = stat.comp_method == ZIP_CM_STORE                ? stat.comp_size
                          : stat.comp_size > UINT64_MAX / kMaxDeflate - 1 ? UINT64_MAX
                                                                          : (stat.comp_size + 1) * kMaxDeflate;
    if (stat.size > most) {
      refuse(source_, cat("entry '", shown, "' claims ", stat.size, " bytes, more than its ", stat.comp_size,
                          " compressed ones can hold"));
    }
    if (stat.comp_size > bytes.size() - compressed) {
      refuse(source_, cat("its entries claim more compressed bytes than the ", bytes.size(), " it has"));
    }
    compressed += stat.comp_size;
    entries_.push_back({name, index, stat.size});
  }
}

ZipReader::~ZipReader() = default;

const ZipReader::Entry* ZipReader::find(std::string_view name) const {
  const auto found = places_.find(name);
  return found == places_.end() ? nullptr : &entries_[found->second];
}

Literal ZipReader::read_beginning(const Entry& entry, uint64_t most) const {
  return read_bytes(entry, std::min(entry.bytes, most));
}

Literal ZipReader::read(const Entry& entry) const { return read_bytes(entry, entry.bytes); }

Literal ZipReader::read_bytes(const Entry& entry, uint64_t count) const {
  const auto fail = [&](const std::string& what) {
    refuse(source_, cat("entry '", entry.name.substr(0, 200), "': ", what));
  };
  const FilePointer file(zip_fopen_index(archive_->zip.get(), entry.index, 0));
  if (!file) fail(zip_strerror(archive_->zip.get()));
  if (count > static_cast<uint64_t>(kMaxElements)) fail(cat("it claims ", count, " bytes"));
  Literal out = Literal::zeros(u8, {static_cast<int64_t>(count)});
  auto* to = static_cast<char*>(out.mutable_data());
  for (uint64_t at = 0; at < count;) {
    const zip_int64_t got = zip_fread(file.get(), to + at, std::min<uint64_t>(count - at, uint64_t{1} << 30));
    if (got < 0) fail(zip_file_strerror(file.get()));
    if (got == 0) fail(cat("it ends after ", at, " of the ", entry.bytes, " bytes it claims"));
    at += static_cast<uint64_t>(got);
  }
  if (count < entry.bytes) return out;
  char more = 0;  // reading on to the end also verifies the checksum
  const zip_int64_t got = zip_fread(file.get(), &more, 1);
  if (got < 0) fail(zip_file_strerror(file.get()));
  if (got > 0) fail(cat("it holds more than the ", entry.bytes, " bytes it claims"));
  return out;
}

void write_zip(const std::string& path, const std::vector<ZipPart>& entries, bool deflate) {
  const auto fail = [&](const char* reason) { throw Error(Code::kIo, cat("cannot write '", path, "': ", reason)); };
  SourcePointer target = made(zip_source_buffer_create(nullptr, 0, 0, nullptr), path);
  zip_source_keep(target.get());  // the archive takes one reference, this function reads through the other
  ZipPointer archive = open_archive(SourcePointer(target.get()), ZIP_TRUNCATE, path);
  for (const ZipPart& entry : entries) {
    std::vector<zip_buffer_fragment_t> fragments;
    for (const auto part : entry.parts) {
      if (part.empty()) continue;
      auto* data = reinterpret_cast<zip_uint8_t*>(const_cast<std::byte*>(part.data()));  // it is only read
      fragments.push_back({data, part.size()});
    }
    SourcePointer content =
        made(zip_source_buffer_fragment_create(fragments.data(), fragments.size(), 0, nullptr), path);
    const zip_int64_t index = zip_file_add(archive.get(), entry.name.c_str(), content.get(), ZIP_FL_ENC_UTF_8);
    if (index < 0) fail(zip_strerror(archive.get()));
    (void)content.release();
    const auto place = static_cast<zip_uint64_t>(index);
    constexpr zip_uint16_t kFirstDay = 1 << 5 | 1;  // 1 January 1980, so that files do not depend on the clock
    if (zip_set_file_compression(archive.get(), place, deflate ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0) != 0 ||
        zip_file_set_dostime(archive.get(), place, 0, kFirstDay, 0) != 0) {
      fail(zip_strerror(archive.get()));
    }
  }
  if (zip_close(archive.get()) != 0) fail(zip_strerror(archive.get()));
  (void)archive.release();
  if (zip_source_open(target.get()) != 0) fail("its bytes cannot be read back");
  AtomicFile file(path);
  std::vector<char> block(size_t{1} << 20);
  for (zip_int64_t got; (got = zip_source_read(target.get(), block.data(), block.size())) != 0;) {
    if (got < 0) fail("its bytes cannot be read back");
    file.write(std::string_view(block.data(), static_cast<size_t>(got)));
  }
  zip_source_close(target.get());
  file.commit();
}

}  // namespace trireme::formats
