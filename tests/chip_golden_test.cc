// The layout of chip.h against its golden file, the rule that says what may change, and the symbols of every plug-in.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>

namespace trireme {
namespace {

const std::string kTool = "python3 " TRIREME_SOURCE_DIR "/tools/chip_abi.py ";

bool runs(const std::string& arguments) { return std::system((kTool + arguments + " 2>/dev/null").c_str()) == 0; }

// What the header is now, asked of the compiler once.
const std::string& layout() {
  static const std::string path = [] {
    const std::string file = testing::TempDir() + "chip_abi_layout.txt";
    EXPECT_EQ(std::system((kTool + "print > " + file).c_str()), 0);
    return file;
  }();
  return path;
}

// Arguments of a check against the golden layout with one line changed.
std::string changed(const std::string& from, const std::string& to) {
  std::ifstream file(TRIREME_SOURCE_DIR "/tests/golden/chip_abi.txt");
  std::stringstream text;
  text << file.rdbuf();
  std::string golden = text.str();
  const size_t at = golden.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  if (at != std::string::npos) golden.replace(at, from.size(), to);
  const std::string path = testing::TempDir() + "chip_abi_changed.txt";
  std::ofstream(path) << golden;
  return path + " " + layout();
}

TEST(ChipAbi, NothingMoved) { EXPECT_TRUE(runs("check")); }

TEST(ChipAbi, TheCheckSeesEveryKindOfBreak) {
  // Each golden file is what the header was; the header as it is then counts as the change.
  EXPECT_FALSE(runs("check " + changed("TrmErr.tag offset 16\n", "TrmErr.tag offset 24\n")));
  EXPECT_FALSE(runs("check " + changed("TrmErr.text size 384\n", "TrmErr.text size 256\n")));
  EXPECT_FALSE(runs("check " + changed("TrmCode.TRM_FAULT 4\n", "TrmCode.TRM_FAULT 5\n")));
  EXPECT_FALSE(runs("check " + changed("TRM_MAX_RANK 8\n", "TRM_MAX_RANK 6\n")));
  EXPECT_FALSE(runs("check " + changed("TrmErr size", "TrmErr.gone offset 400\nTrmErr size")));
  EXPECT_FALSE(runs("check " + changed("TrmMem size 32\n", "TrmMem size 24\n")));    // has no struct_size: may not grow
  EXPECT_FALSE(runs("check " + changed("TrmErr size 416\n", "TrmErr size 424\n")));  // shrank
}

TEST(ChipAbi, AppendingIsFine) {
  EXPECT_TRUE(runs("check " + changed("TrmErr size 416\n", "TrmErr size 408\n")));
  EXPECT_TRUE(runs("check " + changed("TrmCode.TRM_INTERNAL 8\n", "")));
}

TEST(ChipAbi, PluginsExportTheEntryAlone) {
  std::string files;
  for (const auto& file : std::filesystem::directory_iterator(TRIREME_BINARY_DIR "/chips")) {
    if (file.path().extension() == ".so") files.append(" ").append(file.path().string());
  }
  ASSERT_FALSE(files.empty()) << "no plug-in in " TRIREME_BINARY_DIR "/chips; build everything first";
  EXPECT_TRUE(runs("symbols" + files));
}

TEST(ChipAbi, TheSymbolCheckSeesAStrayExportAndAMissingHost) {
  const auto library = [](const std::string& name, const std::string& code) {
    const std::string base = testing::TempDir() + name;
    std::ofstream(base + ".cc") << code;
    EXPECT_EQ(std::system(("c++ -shared -fPIC -o " + base + ".so " + base + ".cc").c_str()), 0);
    return base + ".so";
  };
  EXPECT_TRUE(runs("symbols " + library("good", "extern \"C\" int trm_chip_entry_v1() { return 0; }")));
  EXPECT_FALSE(runs("symbols " +
                    library("stray", "extern \"C\" int trm_chip_entry_v1() { return 0; } int other() { return 1; }")));
  EXPECT_FALSE(runs("symbols " + library("wants",
                                         "namespace trireme { int f(); }\n"
                                         "extern \"C\" int trm_chip_entry_v1() { return trireme::f(); }")));
  EXPECT_FALSE(runs("symbols " + library("none", "static int f() { return 0; } static int x = f();")));
}

}  // namespace
}  // namespace trireme
