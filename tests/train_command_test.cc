// Training through the command: kills at any moment, bad input, and what the last line says.
// ctest: command shards=3 timeout=600
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "command.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/checkpoint/checkpoint.h"
#include "trireme/data/image.h"

namespace trireme {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::run_command;

constexpr int kRows = 90;

// Three kinds of points, by the angle of (a, b).
std::string table() {
  std::string text = "a,b,kind\n";
  for (int i = 0; i < kRows; ++i) {
    const double angle = 0.7 * i, size = 1.0 + 0.3 * std::sin(1.9 * i);
    const int kind = static_cast<int>(std::fmod(angle, 6.283185307) / 2.1);
    text += cat(size * std::cos(angle), ",", size * std::sin(angle), ",", "xyz"[std::min(kind, 2)], "\n");
  }
  return text;
}

// A folder with table.csv and train.yaml; runs write to `out` inside.
struct Place {
  TemporaryFolder folder;
  std::string config = folder / "train.yaml";
  Place() {
    write_file_atomically(folder / "table.csv", table());
    write_file_atomically(config, cat("Global: {seed: 3, epochs: 4, save_interval: 3, print_interval: 1}\n",
                                      "Arch: {name: mlp, hidden: [16], dropout: 0.2}\n",
                                      "Optimizer: {learning_rate: 1e-2, schedule: {name: cosine}}\n",
                                      "DataLoader: {dataset: csv, label: kind, hold_back: 15, batch_size: 5, path: ",
                                      folder / "table.csv", "}\n"));
  }
  std::string out(const std::string& name = "out") const { return folder / name; }
  testing::CommandResult train(const std::string& output, std::vector<std::string> more = {},
                               const testing::CommandOptions& options = {}) const {
    std::vector<std::string> words = {"train", config, "--json", "-o", "Global.output_dir=" + output};
    words.insert(words.end(), more.begin(), more.end());
    return run_command(words, options);
  }
};

// Name and bytes of every checkpoint of a run.
std::map<std::string, std::string> checkpoints(const std::string& folder) {
  std::map<std::string, std::string> out;
  for (const std::string& inside : {folder, folder + "/best"}) {
    for (const auto& entry : std::filesystem::directory_iterator(inside)) {
      const std::string path = entry.path().string();
      if (path.ends_with(".safetensors")) out[path.substr(folder.size())] = read_file(path);
    }
  }
  return out;
}

void expect_same_run(const std::string& a, const std::string& b) {
  const auto one = checkpoints(a), other = checkpoints(b);
  EXPECT_GE(one.size(), 2u);
  EXPECT_EQ(one.size(), other.size());
  for (const auto& [name, bytes] : one) {
    ASSERT_TRUE(other.contains(name)) << name;
    EXPECT_TRUE(other.at(name) == bytes) << name;
  }
}

// --- bits ---------------------------------------------------------------------------------------------------------

class KilledRuns : public ::testing::TestWithParam<std::vector<std::string>> {};
INSTANTIATE_TEST_SUITE_P(Train, KilledRuns,
                         ::testing::Values(std::vector<std::string>{},
                                           std::vector<std::string>{"-o", "Global.accumulate_steps=4", "-o",
                                                                    "Global.amp=f16", "-o", "DataLoader.workers=3"}));

TEST_P(KilledRuns, EndWithTheSameBits) {
  const Place place;
  const auto begin = std::chrono::steady_clock::now();
  const auto straight = place.train(place.out("straight"), GetParam());
  ASSERT_EQ(straight.status, 0) << straight.errors;
  const double whole = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  ASSERT_EQ(place.train(place.out("twice"), GetParam()).status, 0);
  expect_same_run(place.out("straight"), place.out("twice"));

  std::mt19937 random(11);
  int killed = 0;
  testing::CommandResult last;
  for (int attempt = 0; attempt < 12; ++attempt) {
    const double after = whole * std::uniform_real_distribution<double>(0.0, 1.0)(random);
    last = place.train(place.out("killed"), GetParam(), {.kill_after = after});
    if (last.status == 0) break;
    ASSERT_EQ(last.status, -1) << last.errors;  // a killed run never leaves what the next one stumbles over
    ++killed;
  }
  if (last.status != 0) last = place.train(place.out("killed"), GetParam());
  ASSERT_EQ(last.status, 0) << last.errors;
  EXPECT_GT(killed, 0);
  expect_same_run(place.out("straight"), place.out("killed"));
  const auto a = nlohmann::json::parse(straight.last_line()), b = nlohmann::json::parse(last.last_line());
  for (const char* key : {"loss", "accuracy", "best_loss", "best_accuracy", "steps"}) EXPECT_EQ(a[key], b[key]) << key;
}

// --- what a run says ----------------------------------------------------------------------------------------------

TEST(TrainCommand, EndsWithOneLineOfJson) {
  const Place place;
  const auto run = place.train(place.out());
  ASSERT_EQ(run.status, 0) << run.errors;
  const auto line = nlohmann::json::parse(run.last_line());
  for (const char* key : {"loss", "accuracy", "steps", "seconds", "chip", "fallback_share"}) {
    EXPECT_TRUE(line.contains(key)) << key;
  }
  EXPECT_EQ(line["steps"], 60);  // 75 rows to train on, 5 to a batch, 4 epochs
  EXPECT_EQ(line["chip"], "cpu:0");
  EXPECT_EQ(line["fallback_share"], 0.0);
  EXPECT_GT(line["accuracy"], 0.4);
  const auto found = run_command({"eval", place.config, "--json", "-o", "Global.output_dir=" + place.out()});
  ASSERT_EQ(found.status, 0) << found.errors;
  EXPECT_EQ(nlohmann::json::parse(found.last_line())["loss"], line["loss"]);
  // Nothing is left to train, and the line is the same.
  const auto again = place.train(place.out());
  EXPECT_EQ(nlohmann::json::parse(again.last_line())["loss"], line["loss"]);
}

TEST(TrainCommand, StopsEarlyAndKeepsTheBest) {
  const Place place;
  const auto run = place.train(place.out(), {"-o", "Global.epochs=200", "-o", "Global.patience=3", "-o",
                                             "Optimizer.learning_rate=0.1", "-o", "Optimizer.schedule.name=constant"});
  ASSERT_EQ(run.status, 0) << run.errors;
  const auto line = nlohmann::json::parse(run.last_line());
  EXPECT_EQ(line["stopped_early"], true);
  EXPECT_LT(line["steps"], 3000);
  const auto best = run_command({"eval", place.config, "--best", "--json", "-o", "Global.output_dir=" + place.out()});
  ASSERT_EQ(best.status, 0) << best.errors;
  EXPECT_EQ(nlohmann::json::parse(best.last_line())["loss"], line["best_loss"]);
}

TEST(TrainCommand, AutocastCanBeSwitchedOff) {
  const Place place;
  const auto loss = [&](const std::string& name, const std::string& amp, const std::string& off) {
    const auto run =
        place.train(place.out(name), {"-o", "Global.amp=" + amp}, {.environment = {{"TRIREME_PASSES_OFF", off}}});
    EXPECT_EQ(run.status, 0) << run.errors;
    return nlohmann::json::parse(run.last_line()).value("loss", 0.0);
  };
  const double exact = loss("exact", "none", ""), narrow = loss("narrow", "bf16", "");
  EXPECT_NE(exact, narrow);
  EXPECT_NEAR(exact, narrow, 0.1);
  EXPECT_EQ(loss("off", "bf16", "simplify,autocast"), loss("plain", "none", "simplify"));
}

// The engine takes the whole step, dropout and the state of the generator included, as one program.
TEST(TrainCommand, RunsOnAnEngine) {
  const Place place;
  const auto loss = [&](const std::string& name, const std::vector<std::string>& words, const std::string& persona) {
    const auto run = place.train(place.out(name), words, {.environment = {{"TRIREME_REFCHIP_PERSONA", persona}}});
    EXPECT_EQ(run.status, 0) << run.errors;
    return nlohmann::json::parse(run.last_line(), nullptr, false).value("loss", 0.0);
  };
  const double host = loss("host", {"-o", "Global.epochs=2"}, "full");
  const double engine = loss("engine", {"-o", "Global.epochs=2", "--chip", "refchip:0"}, "engine-only");
  EXPECT_GT(host, 0.0);
  EXPECT_NEAR(host, engine, 1e-4);
}

// --- losses that are not finite -----------------------------------------------------------------------------------

TEST(TrainCommand, ALossThatIsNotFiniteStopsTheRun) {
  const Place place;
  // Numbers to predict, and a rate that makes the parameters grow without bound.
  const std::vector<std::string> wild = {
      "-o", "Loss.name=mse",         "-o", "DataLoader.label=b",           "-o", "DataLoader.ignore=kind",
      "-o", "Optimizer.name=sgd",    "-o", "Optimizer.learning_rate=1e12", "-o", "Optimizer.schedule.name=constant",
      "-o", "Global.save_interval=1"};
  auto detecting = wild;
  detecting.push_back("--detect-anomaly");
  const auto run = place.train(place.out("plain"), wild);
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.errors, AllOf(HasSubstr("--detect-anomaly"), HasSubstr("learning rate")));
  EXPECT_EQ(run.output, "");
  const auto named = place.train(place.out("named"), detecting);
  EXPECT_EQ(named.status, 2);
  EXPECT_THAT(named.errors,
              AllOf(HasSubstr(" step "), HasSubstr("comes from "), HasSubstr(".cc:"), HasSubstr("element")));
  for (const char* name : {"plain", "named"}) {  // what is there is good
    const auto latest = checkpoint::load_latest(place.out(name));
    if (!latest) continue;
    for (const auto& [tensor, value] : latest->contents.tensors) {
      for (int64_t i = 0; i < value.elements(); ++i) ASSERT_TRUE(std::isfinite(value.at(i))) << tensor;
    }
  }
}

// --- bad input ----------------------------------------------------------------------------------------------------

struct Refusal {
  std::vector<std::string> words;
  std::vector<std::string> said;
};

TEST(TrainCommand, RefusesWhatItDoesNotKnow) {
  const Place place;
  const std::vector<Refusal> cases = {
      {{"-o", "Global.epoch=3"}, {"Global", "unknown key 'epoch'", "did you mean 'epochs'?"}},
      {{"-o", "Globl.epochs=3"}, {"unknown section 'Globl'", "did you mean 'Global'?"}},
      {{"-o", "Optimizer.schedule.nam=step"}, {"unknown key 'nam'", "did you mean 'name'?"}},
      {{"-o", "Optimizer.name=adamv"}, {"unknown Optimizer.name 'adamv'", "did you mean 'adam"}},
      {{"-o", "Global.amp=float16"}, {"unknown Global.amp 'float16'"}},
      {{"-o", "DataLoader.dataset=minst"}, {"did you mean 'mnist'?"}},
      {{"-o", "DataLoader.label=kid"}, {"kid", "kind"}},
      {{"-o", "DataLoader.path=nowhere.csv"}, {"nowhere.csv"}},
      {{"-o", "DataLoader.hold_back=90"}, {"hold_back is 90 of 90"}},
      {{"-o", "Arch.name=lenet"}, {"Arch.hidden", "remove the key"}},
      {{"--chip", "cpuu"}, {"cpuu", "cpu"}},
      {{"--chip", "cpu:99"}, {"99"}}};
  for (const Refusal& each : cases) {
    SCOPED_TRACE(each.words[1]);
    const auto run = place.train(place.out(), each.words);
    EXPECT_EQ(run.status, 2);
    for (const std::string& text : each.said) EXPECT_THAT(run.errors, HasSubstr(text));
    EXPECT_EQ(run.output, "");
    EXPECT_FALSE(file_exists(place.out()));
  }
  const auto missing = run_command({"train", place.folder / "no.yaml"});
  EXPECT_EQ(missing.status, 2);
  EXPECT_THAT(missing.errors, HasSubstr("no.yaml"));
  EXPECT_EQ(run_command({"train", place.config, "--jsn"}).status, 2);
}

TEST(TrainCommand, RefusesDataOfWrongSizes) {
  const Place place;
  const auto said = [&](const std::vector<std::string>& words) {
    const auto run = place.train(place.out(), words);
    EXPECT_EQ(run.status, 2);
    EXPECT_EQ(run.output, "");
    EXPECT_FALSE(file_exists(place.out()));
    return run.errors;
  };
  write_file_atomically(place.folder / "short.csv", "a,b,kind\n1,2,x\n3,x\n");
  EXPECT_THAT(said({"-o", "DataLoader.path=" + place.folder / "short.csv"}),
              AllOf(HasSubstr("short.csv"), HasSubstr("line 3")));
  write_file_atomically(place.folder / "words.csv", "a,b,kind\n1,2,x\n3,four,y\n");
  EXPECT_THAT(said({"-o", "DataLoader.path=" + place.folder / "words.csv"}), HasSubstr("line 3"));
}

std::string idx(int rank, const std::vector<uint32_t>& sizes, const std::string& bytes) {
  std::string out{0, 0, 8, static_cast<char>(rank)};
  for (const uint32_t size : sizes) {
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(size >> shift & 255u);
  }
  return out + bytes;
}

// Pictures of 6 x 6: a bright row (label 0) or a bright column (label 1).
std::string picture(int i) {
  std::string out(36, '\x10');
  for (int k = 0; k < 6; ++k) out[static_cast<size_t>(i % 2 == 0 ? i / 2 % 6 * 6 + k : k * 6 + i / 2 % 6)] = '\x7f';
  return out;
}

TEST(TrainCommand, TrainsOnEveryKindOfData) {
  const TemporaryFolder folder;
  constexpr int kCount = 60;
  std::string pixels, labels, lines;
  for (int i = 0; i < kCount; ++i) {
    pixels += picture(i);
    labels += static_cast<char>(i % 2);
    lines += cat(i % 2, "\n");
    const std::string kind = folder / (i % 2 == 0 ? "folder/row" : "folder/column");
    make_folders(kind);
    const Literal one =
        Literal::from<uint8_t>({reinterpret_cast<const uint8_t*>(picture(i).data()), 36}, Shape{6, 6, 1});
    write_file_atomically(cat(kind, "/", i, ".png"), data::encode_png(one));
  }
  write_file_atomically(folder / "images", idx(3, {kCount, 6, 6}, pixels));
  write_file_atomically(folder / "labels", idx(1, {kCount}, labels));
  make_folders(folder / "batches");
  for (int part = 0; part < 2; ++part) {
    const auto* from = reinterpret_cast<const uint8_t*>(pixels.data()) + part * 30 * 36;
    write_file_atomically(cat(folder / "batches/b", part, ".png"),
                          data::encode_png(Literal::from<uint8_t>({from, 30 * 36}, Shape{30, 36, 1})));
  }
  write_file_atomically(folder / "lines.txt", lines);
  std::string poem;
  for (int i = 0; i < 60; ++i) poem += "abcd efgh ";
  write_file_atomically(folder / "poem.txt", poem);

  const auto train = [&](const std::string& arch, const std::string& loader, std::vector<std::string> more = {}) {
    const std::string config = folder / "train.yaml";
    write_file_atomically(config,
                          cat("Global: {seed: 1, epochs: 40}\nArch: {", arch,
                              "}\nOptimizer: {learning_rate: 1e-2}\nDataLoader: {batch_size: 10, ", loader, "}\n"));
    std::vector<std::string> words = {"train", config, "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return run_command(words);
  };
  const auto accuracy = [](const testing::CommandResult& run) {
    EXPECT_EQ(run.status, 0) << run.errors;
    return run.status == 0 ? nlohmann::json::parse(run.last_line()).value("accuracy", 0.0) : 0.0;
  };
  const std::string idx_files = cat("dataset: idx, hold_back: 12, path: ", folder / "images");
  const std::string batches = cat("dataset: png_batches, hold_back: 12, path: ", folder / "batches");
  const std::string mlp = "name: mlp, hidden: [32], classes: 2";
  EXPECT_GT(accuracy(train(mlp, cat(idx_files, ", labels: ", folder / "labels"))), 0.9);
  EXPECT_GT(accuracy(train(mlp, cat(batches, ", labels: ", folder / "lines.txt"))), 0.9);
  EXPECT_GT(accuracy(train("name: lenet", cat("dataset: image_folder, hold_back: 12, path: ", folder / "folder"),
                           {"-o", "Global.epochs=10"})),
            0.9);
  const std::string gpt = "name: gpt, layers: 2, heads: 2, features: 16";
  const std::string text = cat("dataset: text, length: 10, stride: 10, path: ", folder / "poem.txt");
  const std::vector<std::string> briefly = {"-o", "Global.epochs=15"};
  const auto kept = train(gpt, text, briefly), again = train(gpt + ", recompute: true", text, briefly);
  EXPECT_GT(accuracy(kept), 0.7);  // of the next character
  EXPECT_EQ(accuracy(kept), accuracy(again));

  // Sizes that do not fit.
  const auto refused = [](const testing::CommandResult& run) {
    EXPECT_EQ(run.status, 2);
    EXPECT_EQ(run.output, "");
    return run.errors;
  };
  write_file_atomically(folder / "few", idx(1, {kCount - 1}, labels.substr(1)));
  EXPECT_THAT(refused(train(mlp, cat(idx_files, ", labels: ", folder / "few"))),
              AllOf(HasSubstr("holds 60 images"), HasSubstr("holds 59 labels")));
  write_file_atomically(folder / "cut", idx(3, {kCount, 6, 6}, pixels.substr(7)));
  EXPECT_THAT(refused(train(mlp, cat("dataset: idx, path: ", folder / "cut", ", labels: ", folder / "labels"))),
              HasSubstr("cut"));
  write_file_atomically(folder / "lines.txt", lines + "1\n");
  EXPECT_THAT(refused(train(mlp, cat(batches, ", labels: ", folder / "lines.txt"))), HasSubstr("61 labels"));
  EXPECT_THAT(refused(train("name: mlp, classes: 1", cat(idx_files, ", labels: ", folder / "labels"))),
              HasSubstr("there are 1 classes"));
  EXPECT_THAT(refused(train(mlp, idx_files)), HasSubstr("DataLoader.labels is missing"));
  EXPECT_THAT(refused(train("name: mlp", text)), HasSubstr("text and gpt, or text and lstm, go together"));
  EXPECT_THAT(refused(train(gpt, cat("dataset: text, length: 5000, path: ", folder / "poem.txt"))),
              HasSubstr("choose a shorter length"));
  const Literal odd = Literal::zeros(u8, {5, 6, 1});
  write_file_atomically(folder / "folder/row/odd.png", data::encode_png(odd));
  EXPECT_THAT(refused(train("name: lenet", cat("dataset: image_folder, path: ", folder / "folder"))),
              AllOf(HasSubstr("odd.png"), HasSubstr("[3, 5, 6]")));
}

TEST(TrainCommand, RefusesDamagedCheckpoints) {
  const Place place;
  const auto evaluate = [&] { return run_command({"eval", place.config, "-o", "Global.output_dir=" + place.out()}); };
  const auto none = evaluate();
  EXPECT_EQ(none.status, 2);
  EXPECT_THAT(none.errors, HasSubstr("run `trireme train` on this file first"));
  ASSERT_EQ(place.train(place.out()).status, 0);
  const auto good = checkpoints(place.out());
  std::vector<std::string> paths;
  for (const auto& [name, bytes] : good) {
    if (name.starts_with("/step-")) paths.push_back(place.out() + name);
  }
  ASSERT_GE(paths.size(), 2u);
  // The newest is cut short: the one before it is taken, and the run ends as before.
  write_file_atomically(paths.back(), read_file(paths.back()).substr(0, 200));
  const auto resumed = place.train(place.out());
  ASSERT_EQ(resumed.status, 0) << resumed.errors;
  EXPECT_THAT(resumed.errors, HasSubstr("taking the checkpoint before it"));
  EXPECT_EQ(checkpoints(place.out()), good);
  // All are damaged: nothing is overwritten.
  for (const std::string& path : paths) {
    std::string bytes = read_file(path);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    write_file_atomically(path, bytes);
  }
  const auto before = checkpoints(place.out());
  for (const auto& run : {place.train(place.out()), evaluate()}) {
    EXPECT_EQ(run.status, 2);
    EXPECT_EQ(run.output, "");
    EXPECT_THAT(run.errors, HasSubstr("remove the folder to start anew"));
  }
  EXPECT_EQ(checkpoints(place.out()), before);
  // Another model's.
  for (const auto& [name, bytes] : good) write_file_atomically(place.out() + name, bytes);
  const auto other = place.train(place.out(), {"-o", "Arch.hidden=[8]"});
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.errors,
              AllOf(HasSubstr("does not fit this model"), HasSubstr("f32[16, 2]"), HasSubstr("f32[8, 2]")));
  EXPECT_EQ(checkpoints(place.out()), good);
}

}  // namespace
}  // namespace trireme
