// What a chip leaves out, the host makes up for: each optional slot of the device and compute banks is withheld in
// turn, from the list of slots that the golden file of the ABI holds, and a small training job must end with the same
// bits as on a chip that has everything.
//
// ctest: slow
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "persona.h"
#include "trireme/nn/layers.h"
#include "trireme/optim/optimizer.h"
#include "trireme/tensor/tensor.h"

namespace trireme::testing {
namespace {

// Slots of a bank behind its last required one, in the order of chip.h.
std::vector<std::string> optional_slots(const std::string& bank, const std::string& last_required) {
  std::ifstream golden(TRIREME_SOURCE_DIR "/tests/golden/chip_abi.txt");
  std::vector<std::string> out;
  bool optional = false;
  for (std::string line; std::getline(golden, line);) {
    if (!line.starts_with(bank + ".") || line.find(" offset ") == std::string::npos) continue;
    const std::string slot = line.substr(bank.size() + 1, line.find(' ') - bank.size() - 1);
    if (optional) out.push_back(slot);
    optional = optional || slot == last_required;
  }
  return out;
}

struct Net {
  nn::Conv2d convolution{1, 2, 3, {.padding = 1}};
  nn::Linear hidden{2 * 5 * 5, 6}, output{6, 3};
  // images f32 [N, 1, 5, 5] -> probabilities [N, 3].
  Tensor operator()(const Tensor& images) {
    const Tensor x = flatten(relu(convolution(images)), 1);
    return softmax(output(tanh(hidden(x))), -1);
  }
  template <class V>
  void each(V& v) {
    v("convolution", convolution), v("hidden", hidden), v("output", output);
  }
};

// Losses and final parameters of two steps.
std::vector<Literal> trained_on(runtime::Device& device) {
  set_device(device.name());
  set_fallback(Fallback::kAllow);
  seed(3);
  Net net;
  optim::Optimizer optimizer(optim::Method::kAdam, nn::state_of(net), {.learning_rate = 1e-2});
  const Tensor images = nn::normal_init({2, 1, 5, 5}, 1.0);
  const Tensor target = Tensor(Literal::from_doubles(f32, {2, 3}, std::vector<double>{1, 0, 0, 0, 0, 1}));
  auto step = compile([&](const Tensor& x, const Tensor& y) {
    const Tensor loss = mean(square(net(x) - y));
    optimizer.step(grad(loss, optimizer.parameters()));
    return loss;
  });
  std::vector<Literal> out;
  for (int i = 0; i < 2; ++i) out.push_back(step(images, target).literal());
  for (const nn::NamedTensor& each : nn::state_of(net)) out.push_back(each.tensor.literal());
  return out;
}

// As if the persona, made from its JSON, had everything but one slot.
runtime::Device& without(const std::string& slot, const std::string& compute) {
  std::string name = "without-" + slot;
  for (char& c : name) c = c == '_' ? '-' : c;
  return persona_device(
      write_persona(name, cat("{'name': '", name, "', 'withhold': ['", slot, "'], 'max_delay_us': 10", compute, "}")));
}

void expect_same(const std::vector<Literal>& got, const std::vector<Literal>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_TRUE(got[i].same_bytes(expected[i]))
        << "value " << i << ": " << got[i].text(8) << ", expected " << expected[i].text(8);
  }
}

TEST(Emulation, EveryOptionalDeviceSlotWithheld) {
  const std::vector<std::string> slots = optional_slots("TrmDeviceBank", "sync");
  ASSERT_GE(slots.size(), 30u);
  const std::vector<Literal> expected = trained_on(persona_device("full"));
  EXPECT_GT(expected[0].at(0), expected[1].at(0)) << "it learns";
  for (const std::string& slot : slots) {
    SCOPED_TRACE(slot);
    expect_same(trained_on(without(slot, "")), expected);
  }
  std::cout << slots.size() << " device slots withheld in turn\n";
}

// On an engine, which fills `partition`.
TEST(Emulation, EveryOptionalComputeSlotWithheld) {
  const std::vector<std::string> slots = optional_slots("TrmComputeBank", "release");
  ASSERT_GE(slots.size(), 9u);
  const std::string engine = ", 'compute': {'partition': true}";
  const std::string file = write_persona("engine", cat("{'name': 'engine', 'max_delay_us': 10", engine, "}"));
  const std::vector<Literal> whole = trained_on(persona_device(file));
  const std::vector<Literal> by_regions = trained_on(persona_device("full"));
  for (const std::string& slot : slots) {
    SCOPED_TRACE(slot);
    // An engine rounds once at the end of its one program, regions round at their borders.
    expect_same(trained_on(without(slot, engine)), slot == "partition" ? by_regions : whole);
  }
  std::cout << slots.size() << " compute slots withheld in turn\n";
}

// Groups that a chip has as a whole or not at all, and everything at once.
TEST(Emulation, GroupsOfSlotsWithheld) {
  const std::vector<Literal> expected = trained_on(persona_device("full"));
  const std::pair<const char*, const char*> groups[] = {
      {"streams", "'stream_*'"},
      {"events", "'event_*'"},
      {"queues", "'stream_*', 'event_*', 'capture_*', 'replay*'"},
      {"copies", "'fill', 'copy_strided'"},
      {"everything", "'*'"},
  };
  for (const auto& [name, slots] : groups) {
    SCOPED_TRACE(name);
    const std::string file =
        write_persona(cat("no-", name), cat("{'name': 'lacks-", name, "', 'withhold': [", slots, "]}"));
    expect_same(trained_on(persona_device(file)), expected);
  }
}

}  // namespace
}  // namespace trireme::testing
