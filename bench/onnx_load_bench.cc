// How long a model of 100 MB takes to load and to import, and how much memory it takes on top: one large weight, and
// two hundred small ones. The file is in the page cache.
#include <benchmark/benchmark.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "trireme/base/strings.h"
#include "trireme/formats/onnx/exporter.h"
#include "trireme/formats/onnx/model.h"
#include "trireme/ops/ops.h"

namespace trireme {
namespace {

// A chain of square products, 100 MB of weights in all.
std::string model_file(int layers) {
  const std::string path = cat(std::filesystem::temp_directory_path().string(), "/trireme_load_", layers, ".onnx");
  const auto size = static_cast<int64_t>(std::sqrt(25e6 / layers));
  const Value x = parameter(f32, Shape{1, size});
  Value y = x;
  for (int i = 0; i < layers; ++i) {
    y = ops::matmul(y, ops::constant(Literal::filled(f32, Shape{size, size}, 1.0 + i)));
  }
  formats::onnx::save_onnx(Graph({x}, {y}), path);
  return path;
}

int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  int64_t pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

void BM_LoadAndImport(benchmark::State& state) {
  const std::string path = model_file(static_cast<int>(state.range(0)));
  int64_t most = 0;
  for (auto _ : state) {
    const int64_t before = resident_bytes();
    const auto model = formats::onnx::Model::load(path);
    auto imported = model.import_with(1);
    most = std::max(most, resident_bytes() - before);
    benchmark::DoNotOptimize(imported);
  }
  state.counters["memory_share"] = static_cast<double>(most) / static_cast<double>(std::filesystem::file_size(path));
  std::filesystem::remove(path);
}
BENCHMARK(BM_LoadAndImport)->ArgName("weights")->Arg(1)->Arg(200)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace trireme
