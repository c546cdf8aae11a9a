// A training run as a YAML file, checked against a declared table of keys: an unknown section, key or value is an error
// that names the nearest one, and so is a key that the chosen name does not use (Arch.hidden with lenet).
//
//   Global:     {use_xpu: true, epochs: 5, output_dir: out/mnist}
//   Arch:       {name: lenet}
//   Loss:       {name: cross_entropy}
//   Optimizer:  {name: adamw, learning_rate: 2e-3, schedule: {name: cosine}}
//   DataLoader: {dataset: mnist, hold_back: 5000, batch_size: 100}
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace trireme::train {

struct Config {
  struct {
    std::string device;    // "refchip:0"; empty: xpu or cpu, by use_xpu
    bool use_xpu = false;  // the device xpu, unless device says otherwise
    int64_t seed = 0;
    int64_t epochs = 1;
    std::string output_dir;       // checkpoints and log; empty: none
    int64_t save_interval = 0;    // steps; 0: at the end of each epoch
    int64_t print_interval = 50;  // steps
    bool resume = true;           // from the newest checkpoint in output_dir
    bool detect_anomaly = false;
    std::string amp = "none";      // bf16, f16: contractions run on such operands, parameters stay f32
    int64_t accumulate_steps = 1;  // batches whose gradients are averaged before one update
    std::string fallback = "warn";
    int64_t patience = 0;  // evaluations without a better loss; 0: never stop early
  } global;
  struct {
    std::string name;
    std::vector<int64_t> hidden = {128};  // mlp: features of each hidden layer
    int64_t classes = 0;                  // 0: as many as the data set has
    double dropout = 0.0;
    int64_t width = 16;                             // resnet18, mobilenet: channels of the stem
    int64_t layers = 4, heads = 4, features = 128;  // gpt, bert; lstm has no heads
    bool recompute = false;                         // gpt, bert: inner values of a block are computed again, not kept
  } arch;
  struct {
    std::string name = "cross_entropy";
    double label_smoothing = 0.0;
  } loss;
  struct {
    std::string name = "adamw";
    double learning_rate = 1e-3;
    struct {
      std::string name = "constant";
      int64_t period = 0;  // step: steps between falls
      double gamma = 0.1;  // step: factor of each fall
      int64_t steps = 0;   // cosine, polynomial: length; 0: the run without its warm-up
      double power = 1.0;  // polynomial
      double last = 0.0;   // cosine, polynomial: rate at the end
    } schedule;
    int64_t warm_up = 0;  // steps from rate 0 to learning_rate
    double weight_decay = 0.0;
    double clip_value = 0.0;  // 0: never
    double clip_norm = 0.0;   // 0: never
    double momentum = 0.9;    // momentum, rmsprop
  } optimizer;
  struct {
    std::string dataset;
    std::string path;                 // a file or folder, or its place within a data folder
    std::string labels;               // idx: file of labels; png_batches: text, one label per line
    std::string label;                // csv: column
    std::vector<std::string> ignore;  // csv: columns
    int64_t size = 0;                 // image_folder, wave_images: height and width; 0: as the images are, 16
    int64_t length = 128;             // text: characters in a window; subject_tokens: tokens
    int64_t count = 1000;             // wave_images, subject_tokens: examples
    int64_t vocabulary = 64;          // subject_tokens
    int64_t stride = 1;               // text: characters between training windows
    double validation_share = 0.1;    // text: of the characters, from the end
    int64_t hold_back = 0;            // others: examples kept for validation
    int64_t batch_size = 32;
    int64_t workers = 1;
  } data_loader;

  // Global.device, or what use_xpu stands for.
  std::string device() const;
};

// `overrides` are "Section.key=value", applied in order after the file. Throws kInvalidArgument, naming source and
// line.
Config parse_config(const std::string& text, const std::string& source, const std::vector<std::string>& overrides = {});
Config read_config(const std::string& path, const std::vector<std::string>& overrides = {});

}  // namespace trireme::train
