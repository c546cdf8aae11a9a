// The guide says what the code does: the promotion table of docs/guide/types.md, the graphs of graph-text.md, and the
// commands of paddle.md, weights.md and a section of onnx.md, which are run as they stand.
//
// ctest: command
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "paddle_writer.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/core/dtype.h"
#include "trireme/data/find.h"
#include "trireme/formats/npy.h"
#include "trireme/formats/onnx/exporter.h"
#include "trireme/ir/text.h"
#include "trireme/ops/ops.h"

namespace trireme {
namespace {

std::string page(const std::string& name) {
  const std::string path = std::string(TRIREME_SOURCE_DIR) + "/docs/guide/" + name;
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(Guide, PromotionTable) {
  int rows = 0;
  for (const std::string& line : split(page("types.md"), '\n')) {
    if (!line.starts_with("| **")) continue;
    std::vector<std::string> cells;
    for (const std::string& cell : split(line, '|')) {
      if (!trim(cell).empty()) cells.emplace_back(trim(cell));
    }
    ASSERT_EQ(cells.size(), 1 + std::size(kAllDTypes)) << line;
    const DType row = parse_dtype(cells[0].substr(2, cells[0].size() - 4));
    for (size_t column = 0; column < std::size(kAllDTypes); ++column) {
      const DType written = parse_dtype(cells[1 + column]);
      EXPECT_EQ(promote(row, kAllDTypes[column]), written) << name(row) << " with " << name(kAllDTypes[column]);
      EXPECT_EQ(promote(kAllDTypes[column], row), written) << name(kAllDTypes[column]) << " with " << name(row);
    }
    ++rows;
  }
  EXPECT_EQ(rows, static_cast<int>(std::size(kAllDTypes)));
}

TEST(Guide, GraphsPrintAsWritten) {
  const std::string text = page("graph-text.md");
  const std::string fence = "```graph\n";
  int graphs = 0;
  for (size_t at = text.find(fence); at != std::string::npos; at = text.find(fence, at + 1)) {
    const size_t begin = at + fence.size();
    const std::string written = text.substr(begin, text.find("```", begin) - begin);
    EXPECT_EQ(print(parse_graph(written)), written);
    ++graphs;
  }
  EXPECT_EQ(graphs, 2);
}

// Runs every shell block of a text, in a folder where the command is at build/trireme. Returns how many there were.
int run_blocks(const std::string& text, const std::string& folder) {
  make_folders(folder + "/build");
  if (!file_exists(folder + "/build/trireme")) {
    std::filesystem::create_symlink(std::string(TRIREME_BINARY_DIR) + "/trireme", folder + "/build/trireme");
  }
  const std::string fence = "```sh\n";
  int blocks = 0;
  for (size_t at = text.find(fence); at != std::string::npos; at = text.find(fence, at + 1)) {
    const size_t begin = at + fence.size();
    write_file_atomically(folder + "/block.sh", text.substr(begin, text.find("```", begin) - begin));
    EXPECT_EQ(std::system(cat("cd '", folder, "' && sh -e block.sh >output 2>errors").c_str()), 0)
        << read_file(folder + "/block.sh") << read_file(folder + "/errors");
    ++blocks;
  }
  return blocks;
}

TEST(Guide, PaddleCommandsRun) {
  using namespace paddle_writer;  // NOLINT: short names
  const TemporaryFolder folder;
  const BlockParts net = {
      {variable("image", kFloat, {-1, 3, -1, -1}), variable("w", kFloat, {2, 3, 1, 1}, true)},
      {feed("image", 0), op("conv2d", {{"Input", {"image"}}, {"Filter", {"w"}}}, {{"Output", {"score"}}}),
       fetch("score", 0)}};
  make_folders(folder / "model");
  write_file_atomically(folder / "model/inference.pdmodel", program({net}));
  write_file_atomically(folder / "model/inference.pdiparams",
                        record(kFloat, {2, 3, 1, 1}, raw<float>({1, 2, 3, 4, 5, 6})));
  formats::write_npy(folder / "picture.npy", Literal::filled(f32, {1, 3, 4, 4}, 1.0));
  EXPECT_EQ(run_blocks(page("paddle.md"), folder.path()), 1);
  EXPECT_EQ(formats::read_npy(folder / "out/score.npy").shape(), Shape({8, 2, 8, 8}));
}

TEST(Guide, WeightsAreConverted) {
  const TemporaryFolder folder;
  std::filesystem::copy(std::string(TRIREME_SOURCE_DIR) + "/tests/fuzz/corpus/pickle/zip", folder / "model.pth");
  EXPECT_EQ(run_blocks(page("weights.md"), folder.path()), 1);
  for (const char* file : {"model.safetensors", "model.npz", "back.safetensors"})
    EXPECT_TRUE(file_exists(folder / file));
}

// The pieces of onnx.md that need no data set: a model of our own stands for the user's.
TEST(Guide, OnnxCommandsRun) {
  const TemporaryFolder folder;
  const Value image = parameter(f32, {1, 3, 4, 4});
  const Value y = ops::conv2d(image, ops::constant(Literal::filled(f32, {2, 3, 3, 3}, 0.5)));
  formats::onnx::save_onnx(Graph({image}, {y}, {"image"}, {"score"}), folder / "model.onnx");
  formats::write_npy(folder / "picture.npy", Literal::filled(f32, {1, 3, 4, 4}, 1.0));
  const std::string text = page("onnx.md");
  const auto section = [&](const std::string& title) {
    const size_t begin = text.find(title);
    EXPECT_NE(begin, std::string::npos) << title;
    return text.substr(begin, text.find("\n## ", begin) - begin);
  };
  EXPECT_EQ(run_blocks(section("# Run your ONNX model"), folder.path()), 1);
  EXPECT_EQ(run_blocks(section("## Convert"), folder.path()), 1);
  EXPECT_NE(read_file(folder / "output").find("\"outputs\":1"), std::string::npos) << read_file(folder / "output");
  EXPECT_EQ(std::system(cat("cd '", folder.path(),
                            "' && build/trireme run again.onnx --input image=picture.npy --save out >log 2>&1")
                            .c_str()),
            0)
      << read_file(folder / "log");
  const Literal score = formats::read_npy(folder / "out/score.npy");
  EXPECT_EQ(score.shape(), Shape({1, 2, 2, 2}));
  EXPECT_EQ(score.at(0), 13.5);
}

TEST(Guide, PicturesAndTablesAreRead) {
  const std::string model = data::look_for_data("onnx-models/squeezenet_fp16"),
                    photo = data::look_for_data("onnx-models/photos/cat.jpg");
  if (model.empty() || photo.empty()) GTEST_SKIP() << "no onnx-models in the data folders; set TRIREME_DATA";
  const TemporaryFolder folder;
  std::filesystem::copy(model + "/SqueezeNet_fp16.onnx", folder / "classifier.onnx");
  std::filesystem::copy(model + "/Labels.json", folder / "labels.json");
  std::filesystem::copy(model + "/fish.csv", folder / "numbers.csv");
  std::filesystem::copy(photo, folder / "cat.jpg");
  const std::string text = page("onnx.md");
  const size_t begin = text.find("## Pictures, sounds and tables");
  ASSERT_NE(begin, std::string::npos);
  EXPECT_EQ(run_blocks(text.substr(begin, text.find("\n## ", begin) - begin), folder.path()), 1);
  const std::string output = read_file(folder / "output");
  EXPECT_NE(output.find("tabby"), std::string::npos) << output;
}

}  // namespace
}  // namespace trireme
