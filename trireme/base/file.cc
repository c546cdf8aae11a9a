#include "trireme/base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <vector>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme {

namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;

[[noreturn]] void fail(std::string_view what, const std::string& path, int reason) {
  const Code code = reason == ENOENT || reason == ENOTDIR ? Code::kNotFound : Code::kIo;
  throw Error(code, cat("cannot ", what, " '", path, "': ", std::generic_category().message(reason)));
}

// A descriptor that closes itself.
struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

struct OpenFile {
  Descriptor descriptor;
  size_t size;
};

// Opened for reading; refuses folders, pipes and devices, whose size means nothing.
OpenFile open_regular(const std::string& path) {
  OpenFile file{{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)}, 0};
  if (file.descriptor.number < 0) fail("open", path, errno);
  struct stat status {};
  if (::fstat(file.descriptor.number, &status) != 0) fail("examine", path, errno);
  if (S_ISDIR(status.st_mode)) fail("read", path, EISDIR);
  if (!S_ISREG(status.st_mode)) {
    throw Error(Code::kIo, cat("cannot read '", path, "': it is a pipe or device; give a regular file"));
  }
  file.size = static_cast<size_t>(status.st_size);
  return file;
}

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

}  // namespace

std::string read_file(const std::string& path) {
  const OpenFile file = open_regular(path);
  std::string bytes(file.size, '\0');
  size_t have = 0;
  while (true) {
    // Files under /proc report size 0, others may grow while being read: go on until the end is seen.
    if (have == bytes.size()) bytes.resize(bytes.size() + 4096);
    const ssize_t got = ::read(file.descriptor.number, bytes.data() + have, bytes.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("read", path, errno);
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path) {
  const OpenFile file = open_regular(path);
  std::shared_ptr<MappedFile> mapped(new MappedFile);
  mapped->path_ = path;
  if (file.size == 0) return mapped;  // an empty mapping is not allowed; an empty span is
  void* data = ::mmap(nullptr, file.size, PROT_READ, MAP_PRIVATE, file.descriptor.number, 0);
  if (data == MAP_FAILED) fail("map", path, errno);
  mapped->data_ = static_cast<const std::byte*>(data);
  mapped->size_ = file.size;
  return mapped;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::let_go(std::span<const std::byte> part) const {
  static const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<uintptr_t>(part.data()) + page - 1) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(part.data() + part.size()) / page * page;
  // A hint: when it is refused, the pages stay.
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  static std::atomic<int> next{0};
  if (path_.empty()) throw Error(Code::kInvalidArgument, "cannot write a file without a name");
  struct stat target {};
  if (::stat(path_.c_str(), &target) == 0 && !S_ISREG(target.st_mode) && !S_ISDIR(target.st_mode)) {
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);  // a device or a pipe: a file must not take its place
    if (descriptor_ < 0) fail("open", path_, errno);
    return;
  }
  temporary_ = cat(path_, ".partial-", static_cast<int64_t>(::getpid()), "-", next++);
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail("create", temporary_, errno);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::string_view bytes) {
  TRIREME_CHECK(descriptor_ >= 0, "write after commit");
  if (buffer_.size() + bytes.size() > kBufferBytes) flush();
  if (bytes.size() >= kBufferBytes) {
    write_through(bytes.data(), bytes.size());
  } else {
    buffer_.append(bytes);
  }
  written_ += static_cast<int64_t>(bytes.size());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  write(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

void AtomicFile::flush() {
  write_through(buffer_.data(), buffer_.size());
  buffer_.clear();
}

void AtomicFile::write_through(const char* data, size_t size) {
  while (size > 0) {
    const ssize_t wrote = ::write(descriptor_, data, size);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) fail("write", path_, errno);
    data += wrote;
    size -= static_cast<size_t>(wrote);
  }
}

void AtomicFile::commit() {
  TRIREME_CHECK(descriptor_ >= 0, "commit called twice");
  flush();
  if (!temporary_.empty() && ::fsync(descriptor_) != 0) fail("write", path_, errno);
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed != 0) fail("write", path_, errno);
  if (temporary_.empty()) return;
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("replace", path_, errno);
  temporary_.clear();
  // The rename itself is durable only once the folder is on disk. Some file systems cannot sync a folder (EINVAL).
  const std::string folder = folder_of(path_);
  const Descriptor directory{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (directory.number < 0) fail("open folder", folder, errno);
  if (::fsync(directory.number) != 0 && errno != EINVAL) fail("write folder", folder, errno);
}

void write_file_atomically(const std::string& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

bool file_exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

void make_folders(const std::string& path) {
  std::error_code reason;
  std::filesystem::create_directories(path, reason);
  if (reason) fail("create folder", path, reason.value());
}

std::string environment(const char* variable, std::string_view otherwise) {
  const char* value = std::getenv(variable);
  return std::string(value == nullptr || *value == '\0' ? otherwise : std::string_view(value));
}

TemporaryFolder::TemporaryFolder() {
  std::string name = environment("TMPDIR", "/tmp") + "/trireme-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) fail("create folder", name, errno);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace trireme
