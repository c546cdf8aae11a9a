#include "trireme/chip/loader.h"

#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::chip {

namespace {

// How long a plug-in may take to load and to list its devices.
int probe_seconds() {
  const char* given = std::getenv("TRIREME_CHIPS_TIMEOUT");
  const int seconds = given != nullptr ? std::atoi(given) : 0;
  return seconds > 0 ? seconds : 10;
}

// Copies a table of the chip's size into one of ours; what the chip does not know stays null.
template <class T>
void adopt(const T& theirs, T* ours) {
  const size_t size = std::min<size_t>(theirs.struct_size, sizeof(T));
  std::memcpy(static_cast<void*>(ours), &theirs, size);
  ours->struct_size = sizeof(T);
}

struct Slot {
  const char* name;
  bool present;
};

void require(const std::string& who, const char* bank, std::initializer_list<Slot> slots) {
  std::vector<std::string> missing;
  for (const Slot& slot : slots) {
    if (!slot.present) missing.emplace_back(slot.name);
  }
  if (missing.empty()) return;
  throw Error(Code::kUnsupported,
              cat(who, ": the ", bank, " bank lacks the required function", missing.size() > 1 ? "s " : " ",
                  join(missing, ", "), "; see docs/guide/plug-in-a-chip.md"));
}

std::string text_or(const char* text, const char* fallback) { return text != nullptr ? text : fallback; }

TrmErr fresh_error() {
  TrmErr err{};
  err.struct_size = sizeof err;
  return err;
}

void* open_library(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    throw Error(Code::kDataLoss, cat("cannot load chip plug-in ", path, ": ", dlerror(),
                                     "; it must be a complete shared library, built for this "
                                     "machine, that needs no symbol of Trireme"));
  return library;
}

TrmChipEntry find_entry(void* library, const std::string& path) {
  if (void* symbol = dlsym(library, "trm_chip_entry_v1")) return reinterpret_cast<TrmChipEntry>(symbol);
  for (int major = 2; major < 10; ++major) {
    if (dlsym(library, cat("trm_chip_entry_v", major).c_str()) != nullptr) {
      throw Error(Code::kUnsupported, cat(path, " is built for version ", major,
                                          " of the chip interface; this Trireme "
                                          "speaks version 1: update Trireme or ask the vendor for a v1 plug-in"));
    }
  }
  throw Error(Code::kDataLoss, cat(path,
                                   " is a shared library but no Trireme chip: it does not export "
                                   "trm_chip_entry_v1; take it out of TRIREME_CHIPS, or see "
                                   "docs/guide/plug-in-a-chip.md"));
}

// Runs entry and enumerate in a child; returns why the plug-in must not be used, or empty.
std::string probe(const std::string& path, const TrmHost& host) {
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) return {};
  const pid_t child = fork();
  if (child < 0) {
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    return {};
  }
  if (child == 0) {
    close(pipe_ends[0]);
    // A crash must look like one, whatever handlers this program has.
    for (int crash : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) signal(crash, SIG_DFL);
    std::string reason;
    try {
      const auto chip = Chip::from_entry(find_entry(open_library(path), path), host, path);
      chip->device_count();
    } catch (const std::exception& failure) {
      reason = failure.what();
    }
    reason += '\0';  // the end of an answer: a plug-in that calls exit gives none
    const ssize_t written = write(pipe_ends[1], reason.data(), reason.size());
    _exit(written < 0 ? 1 : 0);
  }
  close(pipe_ends[1]);
  std::string reason;
  char buffer[512];
  pollfd waiting{pipe_ends[0], POLLIN, 0};
  bool late = false, answered = false;
  const int seconds = probe_seconds();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (!answered) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    const int ready = poll(&waiting, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) {
      late = true;
      break;
    }
    const ssize_t got = read(pipe_ends[0], buffer, sizeof buffer);
    if (got <= 0) break;
    reason.append(buffer, static_cast<size_t>(got));
    answered = reason.back() == '\0';
  }
  close(pipe_ends[0]);
  if (late) kill(child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (late) {
    return cat(path, " did not answer within ", seconds,
               " s while listing its devices; not loaded: ask its vendor, or give it longer with "
               "TRIREME_CHIPS_TIMEOUT=seconds");
  }
  if (answered) {
    reason.pop_back();
    return reason;
  }
  if (WIFSIGNALED(status)) {
    return cat(path, " crashed (", strsignal(WTERMSIG(status)),
               ") while listing its devices; not loaded: ask its vendor");
  }
  return cat(path, " ended the process (exit code ", WEXITSTATUS(status),
             ") while listing its devices; not loaded: a chip returns a code instead, ask its vendor");
}

std::vector<std::string> plugin_paths() {
  std::vector<std::string> paths;
  const char* given = std::getenv("TRIREME_CHIPS");
  if (given == nullptr) return paths;
  for (const std::string& part : split(given, ':')) {
    std::error_code ignored;
    if (part.empty()) continue;
    if (!std::filesystem::is_directory(part, ignored)) {
      paths.push_back(part);
      continue;
    }
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(part, ignored)) {
      if (entry.path().extension() == ".so") found.push_back(entry.path().string());
    }
    std::sort(found.begin(), found.end());
    paths.insert(paths.end(), found.begin(), found.end());
  }
  return paths;
}

void add_unique(ChipTable& table, std::unique_ptr<Chip> chip) {
  for (const auto& known : table.chips) {
    if (known->name() == chip->name()) {
      throw Error(Code::kInvalidArgument, cat("chip '", chip->name(), "' from ", chip->path(),
                                              " is already there, from ", known->path(), "; it was left out"));
    }
  }
  table.chips.push_back(std::move(chip));
}

std::mutex& table_mutex() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace

std::unique_ptr<Chip> Chip::from_entry(TrmChipEntry entry, const TrmHost& host, const std::string& path) {
  TrmChip table{};
  table.struct_size = sizeof table;
  const int32_t code = entry(&host, &table);
  if (code != TRM_OK) {
    throw Error(Code::kUnsupported, cat(path, ": the chip says it cannot work here (code ", code, ")"));
  }
  if (table.name == nullptr || table.name[0] == '\0') {
    throw Error(Code::kDataLoss, cat(path, ": the chip has no name; its entry must set TrmChip.name"));
  }
  auto chip = std::make_unique<Chip>();
  chip->name_ = table.name;
  for (char c : chip->name_) {
    if (std::islower(static_cast<unsigned char>(c)) || std::isdigit(static_cast<unsigned char>(c)) || c == '_')
      continue;
    throw Error(Code::kDataLoss, cat(path, ": chip name '", chip->name_, "' has characters other than a-z, 0-9, _"));
  }
  chip->vendor_ = text_or(table.vendor, "unknown vendor");
  chip->version_ = text_or(table.plugin_version, "0");
  chip->build_id_ = text_or(table.build_id, "");
  chip->path_ = path;
  chip->abi_minor_ = table.abi_minor;
  chip->get_ext_ = table.get_ext;
  const std::string who = cat("chip '", chip->name_, "' (", path, ")");
  if (table.device == nullptr)
    throw Error(Code::kUnsupported, who + ": there is no device bank; 8 functions are required");
  adopt(*table.device, &chip->device_);
  const TrmDeviceBank& d = chip->device_;
  require(who, "device",
          {{"enumerate", d.enumerate != nullptr},
           {"props", d.props != nullptr},
           {"open", d.open != nullptr},
           {"close", d.close != nullptr},
           {"chunk_alloc", d.chunk_alloc != nullptr},
           {"chunk_free", d.chunk_free != nullptr},
           {"copy", d.copy != nullptr},
           {"sync", d.sync != nullptr}});
  if (table.compute != nullptr) {
    adopt(*table.compute, &chip->compute_);
    chip->has_compute_ = true;
    const TrmComputeBank& c = chip->compute_;
    require(who, "compute",
            {{"list_ops", c.list_ops != nullptr},
             {"query", c.query != nullptr},
             {"prepare", c.prepare != nullptr},
             {"enqueue", c.enqueue != nullptr},
             {"release", c.release != nullptr}});
  }
  if (table.comm != nullptr) {
    adopt(*table.comm, &chip->comm_);
    chip->has_comm_ = true;
    const TrmCommBank& c = chip->comm_;
    require(who, "communication",
            {{"id_create", c.id_create != nullptr},
             {"init", c.init != nullptr},
             {"destroy", c.destroy != nullptr},
             {"abort", c.abort != nullptr},
             {"status", c.status != nullptr},
             {"send", c.send != nullptr},
             {"recv", c.recv != nullptr},
             {"group_begin", c.group_begin != nullptr},
             {"group_end", c.group_end != nullptr}});
  }
  return chip;
}

const void* Chip::extension(const char* name, uint32_t min_version) const {
  return get_ext_ != nullptr ? get_ext_(name, min_version) : nullptr;
}

uint32_t Chip::device_count() const {
  uint32_t count = 0;
  TrmErr err = fresh_error();
  if (device_.enumerate(&count, &err) != TRM_OK) {
    throw Error(Code::kDeviceFault, cat("chip '", name_, "' (", path_, ") cannot list its devices: ", err.text));
  }
  return count;
}

std::vector<std::string> Chip::ops() const {
  std::vector<std::string> names;
  const TrmOpDecl* ops = nullptr;
  uint32_t count = 0;
  if (has_compute_ && compute_.list_ops(&ops, &count) == TRM_OK) {
    for (uint32_t i = 0; i < count; ++i) names.emplace_back(ops[i].name);
  }
  return names;
}

std::unique_ptr<Chip> load_plugin(const std::string& path, const TrmHost& host) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    throw Error(Code::kNotFound, cat("no chip plug-in at ", path, "; check TRIREME_CHIPS"));
  }
  if (const std::string reason = probe(path, host); !reason.empty()) throw Error(Code::kUnsupported, reason);
  return Chip::from_entry(find_entry(open_library(path), path), host, path);
}

ChipTable& all_chips(const TrmHost& host) {
  const std::lock_guard lock(table_mutex());
  static auto* table = [&host] {
    auto* made = new ChipTable;  // never destroyed: devices may be used until the process ends
    for (const BuiltinChip& builtin : builtin_chips()) {
      try {
        add_unique(*made, Chip::from_entry(builtin.entry, host, "built in"));
      } catch (const Error& failure) {
        made->failures.push_back({builtin.name, failure.what()});
      }
    }
    for (const std::string& path : plugin_paths()) {
      try {
        add_unique(*made, load_plugin(path, host));
      } catch (const Error& failure) {
        made->failures.push_back({path, failure.what()});
      }
    }
    return made;
  }();
  return *table;
}

const Chip& add_chip(TrmChipEntry entry, const TrmHost& host) {
  ChipTable& table = all_chips(host);
  const std::lock_guard lock(table_mutex());
  add_unique(table, Chip::from_entry(entry, host, "added by the program"));
  return *table.chips.back();
}

const Chip& ChipTable::get(const std::string& name) const {
  std::vector<std::string_view> known;
  for (const auto& chip : chips) {
    if (chip->name() == name) return *chip;
    known.push_back(chip->name());
  }
  std::string why;
  for (const LoadFailure& failure : failures) {
    if (failure.path.find(name) != std::string::npos) why += cat("; ", failure.reason);
  }
  const std::string near = nearest_name(name, known);
  std::vector<std::string> names(known.begin(), known.end());
  throw Error(Code::kNotFound,
              cat("no chip '", name, "'", why.empty() && !near.empty() ? "; did you mean '" + near + "'?" : why,
                  "; chips here: ", join(names, ", "), "; plug-ins are named in TRIREME_CHIPS"));
}

}  // namespace trireme::chip
