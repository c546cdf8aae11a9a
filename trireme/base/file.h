// Files: whole reads, mappings, and writes that either happen completely or not at all.
// Every failure is an Error that names the path and the operating system's reason: kNotFound when the path does not
// exist, kIo otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace trireme {

// All bytes of a file.
std::string read_file(const std::string& path);

// A read-only view of a regular file. Hold the shared pointer (a Literal takes it as owner) as long as the bytes are
// read. Replacing the file by rename, as AtomicFile does, leaves an existing mapping intact; shrinking it in place
// does not, so nothing in Trireme does that.
class MappedFile {
 public:
  static std::shared_ptr<const MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }
  // Gives back the memory of the pages that lie in `part`; they are read from the file again when they are touched.
  void let_go(std::span<const std::byte> part) const;

 private:
  MappedFile() = default;
  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Writes a temporary file in the target's folder; commit() syncs it, renames it over the target and syncs the folder.
// Until then the target keeps its old content; without commit() (an exception on the way) the temporary is removed.
// A process killed in between leaves at most a file named "<target>.partial-<pid>-<n>". A device or a pipe
// (/dev/stdout, /dev/null) is written to as it is.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::string_view bytes);
  void write(std::span<const std::byte> bytes);
  void commit();
  int64_t bytes_written() const { return written_; }

 private:
  void flush();
  void write_through(const char* data, size_t size);

  std::string path_;
  std::string temporary_;
  std::string buffer_;  // small writes are gathered here
  int descriptor_ = -1;
  int64_t written_ = 0;
};

void write_file_atomically(const std::string& path, std::string_view bytes);
// writer(AtomicFile&) produces the content; when it throws, the old file stays.
template <class Writer>
  requires requires(Writer&& writer, AtomicFile& file) { writer(file); }
void write_file_atomically(const std::string& path, Writer&& writer) {
  AtomicFile file(path);
  writer(file);
  file.commit();
}

bool file_exists(const std::string& path);
// The folder and all missing folders above it.
void make_folders(const std::string& path);
// Text of the environment variable, or `otherwise` when it is unset or empty.
std::string environment(const char* variable, std::string_view otherwise = {});

// A fresh folder under $TMPDIR (else /tmp), removed with its content at the end of the scope.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

}  // namespace trireme
