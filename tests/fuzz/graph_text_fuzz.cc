// Any bytes given as graph text are a graph or an Error; a graph prints to text that means the same graph.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "trireme/base/error.h"
#include "trireme/ir/text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {  // NOLINT: libFuzzer's name
  using namespace trireme;
  Graph graph;
  try {
    graph = parse_graph({reinterpret_cast<const char*>(data), size});
  } catch (const Error& error) {
    if (error.code() == Code::kInternal) std::abort();
    return 0;
  }
  verify(graph, "parse");
  const std::string text = print(graph);
  const Graph again = parse_graph(text);
  if (print(again) != text || again.structural_hash() != graph.structural_hash()) std::abort();
  return 0;
}
