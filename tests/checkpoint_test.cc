// Checkpoints: what is damaged is refused, what is whole comes back byte for byte, and an export computes the same.
#include "trireme/checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/checkpoint/export.h"
#include "trireme/nn/layers.h"

namespace trireme::checkpoint {
namespace {

using testing::HasSubstr;

struct Net {
  nn::Linear first{4, 5}, second{5, 3};
  nn::BatchNorm norm{5};
  Tensor operator()(const Tensor& x) { return second(relu(norm(first(x)))); }
  template <class V>
  void each(V& v) {
    v("first", first), v("norm", norm), v("second", second);
  }
};

Error refusal(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& failure) {
    return failure;
  }
  ADD_FAILURE() << "accepted";
  return {Code::kInternal, ""};
}

// A folder with checkpoints of steps 1 and 2.
struct Saved {
  TemporaryFolder folder;
  Contents first, second;
  std::string path;
  Saved() {
    seed(3);
    Net one, two;
    first = collect(nn::state_of(one));
    second = collect(nn::state_of(two));
    first.facts["step"] = "1";
    second.facts["step"] = "2";
    save(folder.path(), 1, first);
    path = save(folder.path(), 2, second);
  }
};

void expect_same(const Contents& found, const Contents& wanted) {
  EXPECT_EQ(found.facts, wanted.facts);
  ASSERT_EQ(found.tensors.size(), wanted.tensors.size());
  for (const auto& [name, value] : wanted.tensors) {
    ASSERT_TRUE(found.tensors.contains(name)) << name;
    EXPECT_TRUE(found.tensors.at(name).same_bytes(value)) << name;
  }
}

TEST(Checkpoint, ComesBackByteForByte) {
  const Saved saved;
  expect_same(load(saved.path), saved.second);
  const auto latest = load_latest(saved.folder.path());
  ASSERT_TRUE(latest);
  EXPECT_EQ(latest->step, 2);
  expect_same(latest->contents, saved.second);
}

TEST(Checkpoint, EveryTruncationIsRefusedAndTheOneBeforeIsTaken) {
  const Saved saved;
  const std::string whole = read_file(saved.path);
  for (size_t length = 0; length < whole.size(); length += length < 64 ? 1 : 37) {
    SCOPED_TRACE(length);
    write_file_atomically(saved.path, whole.substr(0, length));
    EXPECT_EQ(refusal([&] { load(saved.path); }).code(), Code::kDataLoss);
  }
  const auto latest = load_latest(saved.folder.path());
  ASSERT_TRUE(latest);
  EXPECT_EQ(latest->step, 1);
  expect_same(latest->contents, saved.first);
}

// Every byte of the file counts: whichever bit flips, the file is refused. Payload bytes too.
TEST(Checkpoint, AFlippedBitIsRefused) {
  const Saved saved;
  const std::string whole = read_file(saved.path);
  int accepted = 0;
  for (size_t at = 0; at < whole.size(); at += at < 64 ? 1 : 13) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
    write_file_atomically(saved.path, damaged);
    try {
      load(saved.path);
      ++accepted;
      ADD_FAILURE() << "accepted with a flipped bit in byte " << at << " of " << whole.size();
    } catch (const Error& failure) {
      EXPECT_EQ(failure.code(), Code::kDataLoss) << failure.what();
    }
    if (accepted > 3) FAIL() << "and more";
  }
}

TEST(Checkpoint, NoneIsNothingAndNoneThatCanBeReadIsAnError) {
  const TemporaryFolder folder;
  EXPECT_FALSE(load_latest(folder.path()));
  EXPECT_FALSE(load_latest(folder / "missing"));
  write_file_atomically(folder / "step-00000007.safetensors", "no checkpoint");
  try {
    load_latest(folder.path());
    FAIL() << "accepted";
  } catch (const Error& failure) {
    EXPECT_EQ(failure.code(), Code::kDataLoss);
    EXPECT_NE(std::string(failure.what()).find("remove the folder to start anew"), std::string::npos) << failure.what();
  }
}

TEST(Checkpoint, KeepsTheNewest) {
  const Saved saved;
  for (int64_t step = 3; step <= 6; ++step) save(saved.folder.path(), step, saved.first, 2);
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(saved.folder.path())) {
    names.push_back(entry.path().filename().string());
  }
  EXPECT_THAT(names, testing::UnorderedElementsAre("step-00000005.safetensors", "step-00000006.safetensors"));
}

TEST(Checkpoint, AnotherModelIsRefusedByName) {
  const Saved saved;
  nn::Linear narrow(4, 6);
  const Tensor weight = narrow.weight;
  const Error shape = refusal([&] { restore({{"first.weight", weight, true}}, saved.first, "file"); });
  EXPECT_EQ(shape.code(), Code::kDataLoss);
  EXPECT_THAT(shape.what(), HasSubstr("first.weight is f32[5, 4] there and f32[6, 4] here"));
  const Error name = refusal([&] { restore({{"first.weigth", weight, true}}, saved.first, "file"); });
  EXPECT_THAT(name.what(), HasSubstr("first.weigth is missing (it has first.weight)"));
}

TEST(Export, ComputesTheSame) {
  seed(5);
  Net net;
  // Running statistics other than the initial ones, so that their way into the export is seen.
  net.norm.running_mean.assign(tensor({0.1f, -0.2f, 0.3f, 0.0f, 0.5f}));
  net.norm.running_variance.assign(tensor({0.5f, 2.0f, 1.5f, 1.0f, 0.7f}));
  const Tensor x(Literal::from_doubles(f32, {2, 4}, std::vector<double>{1, -2, 3, 0.5, -1, 0, 2, 4}));
  const TemporaryFolder folder;
  const Tensor y = net(x);
  export_model(folder.path(), {x}, {y}, {"x"}, {"y"}, nn::state_of(net));
  const Graph graph = import_model(folder.path());
  ASSERT_EQ(graph.inputs().size(), 1u);
  EXPECT_EQ(graph.input_names(), std::vector<std::string>{"x"});
  for (const double scale : {1.0, -0.5}) {
    const auto wanted = net(x * scale).literal().to_doubles();
    const auto found = run(graph, {x * scale})[0].literal().to_doubles();
    ASSERT_EQ(found.size(), wanted.size());
    for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 1e-5);
  }
  EXPECT_EQ(refusal([&] { import_model(folder / "none"); }).code(), Code::kNotFound);
  const std::string weights = folder / "model.safetensors";
  write_file_atomically(weights, read_file(weights).substr(0, 200));
  EXPECT_EQ(refusal([&] { import_model(folder.path()); }).code(), Code::kDataLoss);
}

}  // namespace
}  // namespace trireme::checkpoint
