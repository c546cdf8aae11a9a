#include "trireme/data/mnist.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/log.h"
#include "trireme/base/strings.h"
#include "trireme/data/digits.h"
#include "trireme/data/find.h"
#include "trireme/data/image_sets.h"

extern char** environ;

namespace trireme::data {

namespace {

struct Remote {
  const char* name;
  const char* sha256;
};
constexpr Remote kImages{"train-images-idx3-ubyte.gz",
                         "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"};
constexpr Remote kLabels{"train-labels-idx1-ubyte.gz",
                         "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"};
const std::vector<std::string> kClasses{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};

// The digits in one folder, or null when it has none. Damaged ones are an error: better to say so than to go on with
// other data.
DatasetPointer from_folder(const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  std::vector<std::string> pictures;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("mnist_batch_") && name.ends_with(".png")) pictures.push_back(entry.path().string());
  }
  std::sort(pictures.begin(), pictures.end());
  const std::string labels = folder + "/train_labels.txt";
  if (!pictures.empty() && file_exists(labels)) return png_batches(pictures, labels, {28, 28, false, kClasses});
  for (const std::string ending : {"", ".gz"}) {
    const std::string images = folder + "/train-images-idx3-ubyte" + ending;
    const std::string numbers = folder + "/train-labels-idx1-ubyte" + ending;
    if (file_exists(images) && file_exists(numbers)) return idx_images(images, numbers, kClasses);
  }
  return nullptr;
}

bool has_sum(const std::string& path, std::string_view sha256) {
  std::string output;
  return run_program({"sha256sum", "--binary", path}, &output) == 0 &&
         output.substr(output.starts_with('\\'), 64) == sha256;
}

// Brings one file into the cache. On failure returns false and says why.
bool fetch(const Remote& remote, const std::string& folder, const std::vector<std::string>& mirrors, std::string* why) {
  const std::string path = folder + "/" + remote.name;
  if (file_exists(path) && has_sum(path, remote.sha256)) return true;
  make_folders(folder);
  for (const std::string& mirror : mirrors) {
    const std::string partial = cat(path, ".download-", static_cast<int64_t>(::getpid()));
    std::string output;
    log_info(cat("downloading ", mirror, remote.name));
    const int status = run_program({"curl", "--fail", "--silent", "--location", "--connect-timeout", "10", "--max-time",
                                    "300", "--output", partial, mirror + remote.name},
                                   &output);
    if (status == 0 && has_sum(partial, remote.sha256)) {
      std::filesystem::rename(partial, path);
      return true;
    }
    std::error_code ignored;
    std::filesystem::remove(partial, ignored);
    *why += cat("; ", mirror, remote.name, ": ",
                status == 0  ? "the SHA-256 differs from the published one"
                : status < 0 ? "curl cannot be started"
                             : cat("curl ended with status ", status));
  }
  return false;
}

}  // namespace

int run_program(const std::vector<std::string>& words, std::string* output) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return -1;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t child = -1;
  const int reason = ::posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  output->clear();
  if (reason == 0) {
    char buffer[4096];
    while (true) {
      const ssize_t got = ::read(ends[0], buffer, sizeof buffer);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      output->append(buffer, static_cast<size_t>(got));
    }
  }
  ::close(ends[0]);
  if (reason != 0) return -1;
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  // A program that does not exist shows up as status 127 where the child does the search.
  return WIFEXITED(status) && WEXITSTATUS(status) != 127 ? WEXITSTATUS(status) : -1;
}

Mnist load_mnist(const MnistOptions& options) {
  const auto found = [](DatasetPointer dataset, std::string source, bool drawn = false) {
    log_info(cat("digits: ", source));
    return Mnist{std::move(dataset), std::move(source), drawn};
  };
  std::string why = "MNIST is nowhere to be had";
  if (options.search) {
    for (const std::string& folder : data_folders()) {
      for (const char* inside : {"/datasets/mnist", "/mnist"}) {
        if (DatasetPointer dataset = from_folder(folder + inside)) {
          return found(dataset, cat("MNIST, ", dataset->size(), " rows from ", folder, inside));
        }
      }
      why += cat("; not under ", folder);
    }
    if (data_folders().empty()) why += "; TRIREME_DATA names no folder";
  }
  if (options.download) {
    const std::string cache =
        options.cache.empty() ? environment("HOME", "/tmp") + "/.cache/trireme/mnist" : options.cache;
    try {
      if (fetch(kImages, cache, options.mirrors, &why) && fetch(kLabels, cache, options.mirrors, &why)) {
        return found(idx_images(cache + "/" + kImages.name, cache + "/" + kLabels.name, kClasses),
                     cat("MNIST, downloaded, in ", cache));
      }
    } catch (const Error& error) {  // a cache that cannot be written must not keep us from drawing
      why += cat("; ", error.what());
    }
  }
  if (options.draw) {
    const std::vector<std::string> fonts = digit_fonts();
    if (!fonts.empty()) {
      log_warn(why);
      return found(draw_digits(options.drawn_count, options.drawn_seed, fonts),
                   cat("not MNIST: ", options.drawn_count, " digits drawn here with ", fonts.size(), " fonts"), true);
    }
    why += "; no fonts to draw digits with";
  }
  throw Error(Code::kNotFound, cat(why,
                                   ". Set TRIREME_DATA to a folder with datasets/mnist, allow the download, or"
                                   " install fonts (apt install fonts-dejavu-core)"));
}

}  // namespace trireme::data
