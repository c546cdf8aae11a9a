// The guide says what the code does: the promotion table of docs/guide/types.md and the graphs of graph-text.md.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "trireme/base/strings.h"
#include "trireme/core/dtype.h"
#include "trireme/ir/text.h"

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

}  // namespace
}  // namespace trireme
