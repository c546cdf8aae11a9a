// Plug-ins that are none, are broken, or come from another time: each is refused with a line that says what to do, or
// works; the program goes on in every case. tests/plugins/misfit.c is compiled once for each rule it can break.
// ctest: command
#include "trireme/chip/loader.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/runtime/host.h"
#include "trireme/runtime/plan.h"

namespace trireme::chip {
namespace {

namespace fs = std::filesystem;

const std::string& folder() {
  static const std::string path = [] {
    const std::string name = ::testing::TempDir() + "misfits";
    fs::remove_all(name);
    fs::create_directories(name);
    return name;
  }();
  return path;
}

struct Ran {
  int code = 0;
  std::string output;
};
Ran shell(const std::string& command) {
  Ran out;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  char buffer[4096];
  while (const size_t got = std::fread(buffer, 1, sizeof buffer, pipe)) out.output.append(buffer, got);
  const int status = pclose(pipe);
  out.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return out;
}

// A misfit of its own name, so that they can be loaded together.
std::string compiled(const std::string& name, const std::string& flags) {
  const std::string library = cat(folder(), "/", name, ".so");
  const Ran run = shell(cat("cc -std=c11 -w -D_GNU_SOURCE -fPIC -shared -fvisibility=hidden -I" TRIREME_SOURCE_DIR
                            " -DMISFIT_NAME='\"",
                            name, "\"' ", flags, " -o ", library, " " TRIREME_SOURCE_DIR "/tests/plugins/misfit.c"));
  EXPECT_EQ(run.code, 0) << run.output;
  return library;
}

std::string written(const std::string& name, const std::string& bytes) {
  const std::string path = cat(folder(), "/", name, ".so");
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

struct Misfit {
  std::string name, path;
  Code code;
  std::vector<std::string> says;
};

const std::vector<Misfit>& misfits() {
  static const std::vector<Misfit> all = [] {
    std::vector<Misfit> out;
    const auto broken = [&](const std::string& name, const std::string& flag, Code code,
                            const std::vector<std::string>& says) {
      out.push_back({name, compiled(name, "-DMISFIT_" + flag), code, says});
    };
    const std::string machine = "shared library, built for this machine";
    out.push_back({"text", written("text", "This is a letter, not a chip.\n"), Code::kUnsupported, {machine}});
    out.push_back({"empty", written("empty", ""), Code::kUnsupported, {machine}});
    {
      std::ifstream whole(compiled("whole", ""), std::ios::binary);
      std::string head(1500, '\0');
      whole.read(head.data(), static_cast<std::streamsize>(head.size()));
      fs::remove(cat(folder(), "/whole.so"));
      out.push_back({"torn", written("torn", head), Code::kUnsupported, {"torn.so"}});
    }
    EXPECT_EQ(
        shell(cat("echo 'int answer(void) { return 42; }' | cc -x c -fPIC -shared -o ", folder(), "/stranger.so -"))
            .code,
        0);
    out.push_back({"stranger",
                   folder() + "/stranger.so",
                   Code::kUnsupported,
                   {"does not export trm_chip_entry_v1", "take it out of TRIREME_CHIPS"}});
    EXPECT_EQ(shell(cat("echo 'int missing(void); int trm_chip_entry_v1(void) { return missing(); }' | cc -x c -fPIC "
                        "-shared -o ",
                        folder(), "/needy.so -"))
                  .code,
              0);
    out.push_back({"needy", folder() + "/needy.so", Code::kUnsupported, {"missing", "needs no symbol of Trireme"}});
    broken("newer", "NEWER", Code::kUnsupported, {"version 2", "update Trireme or ask the vendor"});
    broken("crash", "CRASH", Code::kUnsupported, {"crashed (Segmentation fault)", "ask its vendor"});
    broken("crash_loading", "CRASH_LOADING", Code::kUnsupported, {"crashed (Segmentation fault)", "ask its vendor"});
    broken("aborts", "ABORT", Code::kUnsupported, {"crashed (Aborted)", "ask its vendor"});
    broken("hang", "HANG", Code::kUnsupported, {"did not answer within 1 s", "TRIREME_CHIPS_TIMEOUT"});
    broken("exits", "EXIT", Code::kUnsupported, {"ended the process (exit code 3)", "ask its vendor"});
    broken("exits_late", "EXIT_LATE", Code::kUnsupported, {"ended the process (exit code 0)", "ask its vendor"});
    broken("missing", "MISSING", Code::kUnsupported,
           {"lacks the required functions chunk_free, sync", "plug-in-a-chip.md"});
    broken("no_size", "NO_SIZE", Code::kUnsupported, {"lacks the required functions enumerate"});
    broken("no_name", "NO_NAME", Code::kUnsupported, {"has no name", "TrmChip.name"});
    broken("No_Good", "OK", Code::kUnsupported, {"'No_Good'", "other than a-z"});
    broken("no_bank", "NO_DEVICE", Code::kUnsupported, {"no device bank"});
    broken("refuses", "REFUSES", Code::kUnsupported, {"says it cannot work here (code 2)"});
    broken("no_driver", "NO_DRIVER", Code::kUnsupported, {"driver 5.2 or newer is needed"});
    return out;
  }();
  return all;
}

// Before the first look at the table: the misfits, and chips from other times that must work.
class Plugins : public ::testing::Environment {
 public:
  void SetUp() override {
    setenv("TRIREME_CHIPS_TIMEOUT", "1", 1);
    misfits();
    compiled("good", "");
    compiled("old", "-DMISFIT_OLD");
    compiled("later", "-DMISFIT_LATER");
    fs::copy_file(folder() + "/good.so", folder() + "/twin.so");
    setenv("TRIREME_CHIPS", (folder() + ":/nowhere/chip.so").c_str(), 1);
  }
};
[[maybe_unused]] const auto* const plugins = ::testing::AddGlobalTestEnvironment(new Plugins);

TEST(ChipLoader, EveryMisfitIsRefusedWithWhatToDo) {
  for (const Misfit& misfit : misfits()) {
    SCOPED_TRACE(misfit.name);
    const auto begin = std::chrono::steady_clock::now();
    try {
      load_plugin(misfit.path, runtime::host_services());
      ADD_FAILURE() << "it was loaded";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), misfit.code);
      for (const std::string& part : misfit.says) {
        EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
      }
      EXPECT_NE(std::string(error.what()).find(misfit.path), std::string::npos) << error.what();
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  }
  EXPECT_THROW(load_plugin("/nowhere/chip.so", runtime::host_services()), Error);
}

TEST(ChipLoader, TheTableKeepsTheGoodOnesAndTheReasons) {
  const ChipTable& table = all_chips(runtime::host_services());
  for (const char* name : {"cpu", "reference", "good", "old", "later"}) EXPECT_NO_THROW(table.get(name)) << name;
  EXPECT_EQ(table.failures.size(), misfits().size() + 2) << "the misfits, the twin, and the file that is not there";
  const auto reason_of = [&](const std::string& path) -> std::string {
    for (const LoadFailure& failure : table.failures) {
      if (failure.path == path) return failure.reason;
    }
    return "";
  };
  EXPECT_NE(reason_of(folder() + "/twin.so").find("already there"), std::string::npos);
  EXPECT_NE(reason_of("/nowhere/chip.so").find("check TRIREME_CHIPS"), std::string::npos);
  try {
    table.get("crash");
    ADD_FAILURE() << "a refused chip was found";
  } catch (const Error& error) {  // whoever asks for it hears why
    EXPECT_NE(std::string(error.what()).find("crashed (Segmentation fault)"), std::string::npos) << error.what();
  }
}

// Fewer slots than ours, with rubbish behind them, and more than ours.
TEST(ChipLoader, ChipsFromOtherTimesCompute) {
  for (const char* name : {"good", "old", "later"}) {
    SCOPED_TRACE(name);
    const Chip& chip = all_chips(runtime::host_services()).get(name);
    EXPECT_EQ(chip.device().struct_size, sizeof(TrmDeviceBank));
    EXPECT_EQ(chip.device().fill, nullptr);
    EXPECT_EQ(chip.device().fault_inject, nullptr);
    runtime::Device& device = runtime::Device::get(name);
    const Value x = parameter(f32, {3});
    const Graph graph({x}, {x});
    const auto plan = runtime::Plan::make(graph, {.target = &device, .fallback = runtime::Fallback::kAllow});
    const auto input = runtime::Buffer::from(device, Literal::from_doubles(f32, {3}, std::vector<double>{1, 2, 3}));
    const auto outputs = plan->run(std::vector<runtime::BufferRef>{input});
    EXPECT_EQ(outputs[0]->read().to_doubles(), (std::vector<double>{1, 2, 3}));
  }
}

TEST(ChipLoader, TheCommandListsThemAll) {
  const std::string command = TRIREME_BINARY_DIR "/trireme chips";
  ASSERT_TRUE(fs::exists(TRIREME_BINARY_DIR "/trireme")) << "build everything first";
  const Ran plain = shell(command);
  EXPECT_EQ(plain.code, 0) << plain.output;
  for (const Misfit& misfit : misfits()) {
    size_t lines = 0;
    for (const std::string& line : split(plain.output, '\n')) {
      if (!line.starts_with("not loaded: ") || line.find(misfit.path) == std::string::npos) continue;
      ++lines;
      for (const std::string& part : misfit.says) EXPECT_NE(line.find(part), std::string::npos) << line;
    }
    EXPECT_EQ(lines, 1u) << misfit.name << " in\n" << plain.output;
  }
  const Ran as_json = shell(command + " --json");
  EXPECT_EQ(as_json.code, 0);
  const auto report = nlohmann::json::parse(as_json.output);
  EXPECT_EQ(report["failures"].size(), misfits().size() + 2);
  size_t good = 0;
  for (const auto& chip : report["chips"]) {
    good += chip["chip"] == "good" || chip["chip"] == "old" || chip["chip"] == "later";
  }
  EXPECT_EQ(good, 3u);
  std::cout << misfits().size() << " misfits refused, 3 chips from other times loaded\n";
}

}  // namespace
}  // namespace trireme::chip
