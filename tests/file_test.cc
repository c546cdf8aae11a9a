#include "trireme/base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "trireme/base/error.h"

namespace trireme {
namespace {

Error error_of(auto&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return {Code::kInternal, ""};
}

size_t entries(const std::string& folder) {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}

TEST(File, WrittenBytesReadBack) {
  const TemporaryFolder folder;
  // Sizes around the writer's 1 MiB buffer; content with every byte value.
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{4096}, (size_t{1} << 20) - 1, size_t{1} << 20, size_t{3333333}}) {
    std::string bytes(size, '\0');
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 7 + i / 256);
    write_file_atomically(folder / "a", bytes);
    EXPECT_EQ(read_file(folder / "a"), bytes);
    const auto mapped = MappedFile::open(folder / "a");
    ASSERT_EQ(mapped->bytes().size(), size);
    EXPECT_TRUE(size == 0 || std::memcmp(mapped->bytes().data(), bytes.data(), size) == 0);
    // The same through many uneven small writes.
    write_file_atomically(folder / "b", [&](AtomicFile& file) {
      for (size_t at = 0, step = 1; at < size; at += step, step = step * 3 + 1) file.write(bytes.substr(at, step));
      EXPECT_EQ(file.bytes_written(), static_cast<int64_t>(size));
    });
    EXPECT_EQ(read_file(folder / "b"), bytes);
  }
  EXPECT_EQ(entries(folder.path()), 2u) << "temporary files were left";
}

TEST(File, WriterThatThrowsLeavesTheOldFile) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "kept", "old");
  EXPECT_THROW(write_file_atomically(folder / "kept",
                                     [](AtomicFile& file) {
                                       file.write(std::string(3 << 20, 'x'));
                                       throw std::runtime_error("writer gave up");
                                     }),
               std::runtime_error);
  EXPECT_EQ(read_file(folder / "kept"), "old");
  EXPECT_EQ(entries(folder.path()), 1u);
}

TEST(File, TargetKeepsOldContentUntilCommit) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "kept", "old");
  AtomicFile file(folder / "kept");
  file.write("new");
  EXPECT_EQ(read_file(folder / "kept"), "old");
  file.commit();
  EXPECT_EQ(read_file(folder / "kept"), "new");
}

TEST(File, MappingSurvivesReplacement) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "weights", std::string(100000, 'a'));
  const auto mapped = MappedFile::open(folder / "weights");
  write_file_atomically(folder / "weights", "b");
  EXPECT_EQ(static_cast<char>(mapped->bytes().back()), 'a');
}

TEST(File, NewFilesFollowTheUmask) {
  const TemporaryFolder folder;
  const mode_t old = ::umask(027);
  write_file_atomically(folder / "a", "x");
  ::umask(old);
  struct stat status {};
  ASSERT_EQ(::stat((folder / "a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
}

TEST(File, ErrorsNamePathAndReason) {
  const TemporaryFolder folder;
  const std::string missing = folder / "missing";
  for (const Error& error : {error_of([&] { read_file(missing); }), error_of([&] { MappedFile::open(missing); }),
                             error_of([&] { write_file_atomically(missing + "/a", "x"); })}) {
    EXPECT_EQ(error.code(), Code::kNotFound);
    EXPECT_NE(std::string(error.what()).find(missing), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("No such file"), std::string::npos) << error.what();
  }
  const Error is_folder = error_of([&] { read_file(folder.path()); });
  EXPECT_EQ(is_folder.code(), Code::kIo);
  EXPECT_NE(std::string(is_folder.what()).find("directory"), std::string::npos) << is_folder.what();
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(error_of([&] { MappedFile::open(folder / "pipe"); }).code(), Code::kIo) << "must not wait for a writer";
  // A folder cannot be replaced by a file; the temporary is removed.
  make_folders(folder / "taken/inner");
  EXPECT_EQ(error_of([&] { write_file_atomically(folder / "taken", "x"); }).code(), Code::kIo);
  EXPECT_EQ(entries(folder.path()), 2u);
  EXPECT_EQ(error_of([&] { make_folders(folder / "pipe/inner"); }).code(), Code::kNotFound);
}

TEST(File, DevicesAndPipesAreWrittenToAndNotReplaced) {
  const TemporaryFolder folder;
  const std::string pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  write_file_atomically(pipe, "through");
  char got[16] = {};
  EXPECT_EQ(::read(reader, got, sizeof got), 7);
  EXPECT_STREQ(got, "through");
  ::close(reader);
  struct stat after {};
  ASSERT_EQ(::stat(pipe.c_str(), &after), 0);
  EXPECT_TRUE(S_ISFIFO(after.st_mode));
  EXPECT_EQ(entries(folder.path()), 1u);
}

TEST(File, FullDiskIsAnErrorAndLeavesTheOldFile) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "kept", "old");
  // A limit on file size stands in for a full disk: write() fails with EFBIG once the signal is ignored.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1 << 20, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Error error = error_of([&] { write_file_atomically(folder / "kept", std::string(4 << 20, 'x')); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(error.code(), Code::kIo);
  EXPECT_NE(std::string(error.what()).find("File too large"), std::string::npos) << error.what();
  EXPECT_EQ(read_file(folder / "kept"), "old");
  EXPECT_EQ(entries(folder.path()), 1u);
}

TEST(File, ReadsFilesThatReportNoSize) { EXPECT_NE(read_file("/proc/self/status").find("Pid:"), std::string::npos); }

TEST(File, TemporaryFolderIsRemoved) {
  std::string path;
  {
    const TemporaryFolder folder;
    path = folder.path();
    write_file_atomically(folder / "a", "x");
    EXPECT_TRUE(file_exists(path));
  }
  EXPECT_FALSE(file_exists(path));
}

}  // namespace
}  // namespace trireme
