// What every example shares: the options --device and --output, and how it ends (one JSON line, or the reason why not).
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <string>

#include "trireme/tensor/tensor.h"
#include "trireme/train/trainer.h"

struct Example {
  CLI::App app;
  std::string device = "cpu", output;

  Example(const std::string& name, const std::string& description) : app(description, name), output("out/" + name) {
    option("--device", device, "chip:index, as `trireme chips` lists them");
    option("--output", output, "folder for checkpoints and the log");
  }
  template <class T>
  void option(const std::string& flag, T& value, const std::string& help) {
    app.add_option(flag, value, help)->capture_default_str();
  }

  // The exit status: 0, 130 after an interruption, 2 after an error.
  int run(int argc, char** argv, const std::function<trireme::train::Result()>& body) try {
    CLI11_PARSE(app, argc, argv);
    trireme::set_device(device);
    trireme::seed(1);
    const trireme::train::Result result = body();
    std::printf("%s\n", trireme::train::json(result).c_str());
    return result.interrupted ? 130 : 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "%s: %s\n", app.get_name().c_str(), failure.what());
    return 2;
  }
};
