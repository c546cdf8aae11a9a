// PyTorch from C++, without Python's part of the cost: adds_lazy of bench/operations.h.
//
// usage: libtorch_peer op adds_lazy FOLDER THREADS f32; then as bench/peers/protocol.py
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <torch/version.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>

namespace {

// The one number of a .npy file, which stands at its end.
float read_number(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(-static_cast<std::streamoff>(sizeof(float)), std::ios::end);
  float number = 0.0f;
  if (!file.read(reinterpret_cast<char*>(&number), sizeof number)) throw std::runtime_error("cannot read " + path);
  return number;
}

// A .npy file of one f32, as NumPy's format 1.0 has it.
void write_number(const std::string& path, float number) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }";
  header.resize(117, ' ');
  header += '\n';
  std::ofstream file(path, std::ios::binary);
  file << std::string("\x93NUMPY\x01\x00\x76\x00", 10) << header;
  file.write(reinterpret_cast<const char*>(&number), sizeof number);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6 || std::string(argv[2]) != "adds_lazy") {
    std::fprintf(stderr, "usage: libtorch_peer op adds_lazy FOLDER THREADS f32\n");
    return 2;
  }
  const std::string folder = argv[3];
  at::set_num_threads(std::stoi(argv[4]));
  const c10::InferenceMode inference;
  const float start = read_number(folder + "/input_0.npy");
  const at::Tensor y = at::full({1}, read_number(folder + "/input_1.npy"));
  float result = 0.0f;
  const auto iterate = [&] {
    at::Tensor x = at::full({1}, start);
    for (int i = 0; i < 100; ++i) x = x + y;
    result = x.item<float>();
  };
  for (int i = 0; i < 8; ++i) iterate();
  std::printf("ready %s\n", TORCH_VERSION);
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line); std::fflush(stdout)) {
    int count = 0;
    if (std::sscanf(line.c_str(), "run %d", &count) == 1) {
      for (int i = 0; i < count; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        iterate();
        const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - begin;
        std::printf("%lld ", static_cast<long long>(took.count()));
      }
      std::printf("\n");
    } else {
      write_number(folder + "/output_0.npy", result);
      std::printf("saved\n");
    }
  }
}
