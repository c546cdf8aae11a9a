// The command `trireme certify` as a chip maker meets it: honest chips pass, broken ones are found, a planted bug is
// shrunk, and plug-ins that hang, crash or print end in a verdict and not in the host.
//
// ctest: slow command timeout=600
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "command.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/certify/random_case.h"
#include "trireme/certify/shrink.h"
#include "trireme/ir/registry.h"

namespace trireme::testing {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

const std::string& folder() {
  static const std::string path = [] {
    const std::string name = ::testing::TempDir() + "certify";
    fs::remove_all(name);
    fs::create_directories(name);
    return name;
  }();
  return path;
}

void must(const std::string& command) { ASSERT_EQ(std::system((command + " >/dev/null 2>&1").c_str()), 0) << command; }

struct Ran {
  int status = 0;
  Json card;
};
// The card; standard output must hold nothing else.
Ran certify(std::vector<std::string> words, const std::string& persona = "") {
  words.insert(words.begin(), "certify");
  words.emplace_back("--json");
  CommandOptions options;
  if (!persona.empty()) options.environment["TRIREME_REFCHIP_PERSONA"] = persona;
  const CommandResult result = run_command(words, options);
  Ran out{result.status, Json::parse(result.output, nullptr, false)};
  EXPECT_TRUE(out.card.is_object()) << result.output << result.errors;
  return out;
}

std::string misfit(const std::string& name, const std::string& flag) {
  const std::string library = cat(folder(), "/", name, ".so");
  must(cat("cc -std=c11 -w -D_GNU_SOURCE -fPIC -shared -fvisibility=hidden -I" TRIREME_SOURCE_DIR " -DMISFIT_NAME='\"",
           name, "\"' -D", flag, " -o ", library, " " TRIREME_SOURCE_DIR "/tests/plugins/misfit.c"));
  return library;
}

// The template, with `from` replaced by `to` in its code.
std::string template_with(const std::string& name, const std::string& from, const std::string& to) {
  const std::string where = cat(folder(), "/", name), source = cat(where, "/", name, "/chip.c");
  must(cat("python3 " TRIREME_SOURCE_DIR "/tools/new_chip.py ", name, " ", where));
  std::string code = read_file(source);
  const size_t at = code.find(from);
  EXPECT_NE(at, std::string::npos) << "the template no longer says: " << from;
  if (at != std::string::npos) code.replace(at, from.size(), to);
  std::ofstream(source) << code;
  const std::string library = cat(where, "/lib", name, ".so");
  must(cat("cc -std=c11 -O2 -fPIC -shared -I" TRIREME_SOURCE_DIR " -o ", library, " ", source, " -lm"));
  return library;
}

TEST(Certify, TheCpuBootsAndTheCardSaysSo) {
  const Ran ran = certify({"cpu", "--level", "boots"});
  EXPECT_EQ(ran.status, 0);
  EXPECT_EQ(ran.card["level"], "boots");
  EXPECT_EQ(ran.card["certified"], true);
  EXPECT_EQ(ran.card["chip"], "cpu");
  EXPECT_EQ(ran.card["failures"].size(), 0u) << ran.card["failures"].dump(1);
  EXPECT_GT(ran.card["totals"]["pass"].get<int>(), 10);
}

TEST(Certify, TheReferenceTrains) {
  const std::string page = folder() + "/page.html";
  const Ran ran = certify({"reference", "--level", "trains", "--html", page});
  EXPECT_EQ(ran.status, 0) << ran.card["why_not_more"];
  EXPECT_EQ(ran.card["level"], "trains");
  EXPECT_EQ(ran.card["ops"]["add"]["f32"].contains("native"), true);
  EXPECT_EQ(ran.card["figures"].size(), 9u) << "three models in f32, bf16 and f16";
  const std::string html = read_file(page);
  EXPECT_NE(html.find("two ranks: unsupported, the chip has no communication bank"), std::string::npos);
  EXPECT_NE(html.find("reference is certified: trains"), std::string::npos);
}

TEST(Certify, AChipWithoutComputeBootsAndNoMore) {
  const Ran boots = certify({"refchip", "--level", "boots"}, "minimal-8");
  EXPECT_EQ(boots.status, 0) << boots.card.dump(1);
  const Ran trains = certify({"refchip", "--level", "trains"}, "minimal-8");
  EXPECT_EQ(trains.status, 1);
  EXPECT_EQ(trains.card["level"], "boots");
  EXPECT_EQ(trains.card["why_not_more"], "it has no compute bank");
}

// One of each kind of verdict.
TEST(Certify, BrokenChipsAreFoundByTheRightVerdict) {
  for (const auto& [defect, verdict] : {std::pair{"missing-event-wait", "race"},
                                        {"idle-free", "leak"},
                                        {"crash-without-memory", "crash"},
                                        {"hanging-second-stream", "hang"},
                                        {"wrong-tag", "lie"},
                                        {"truncated-copy", "wrong"},
                                        {"ignored-struct-size", "wrong"}}) {
    SCOPED_TRACE(defect);
    const Ran ran = certify({"refchip", "--level", "boots", "--timeout", "5"}, cat("broken-", defect));
    EXPECT_EQ(ran.status, 1);
    EXPECT_EQ(ran.card["level"], "none");
    EXPECT_GE(ran.card["totals"].value(verdict, 0), 1) << ran.card["failures"].dump(1);
  }
}

TEST(Certify, APluginThatHangsCrashesOrPrintsIsJudged) {
  const auto expect = [](const std::string& name, const std::string& flag, const std::string& verdict) {
    SCOPED_TRACE(name);
    const Ran ran = certify({misfit(name, flag), "--level", "boots", "--timeout", "3"});
    EXPECT_EQ(ran.status, 1);
    ASSERT_GE(ran.card["failures"].size(), 1u);
    EXPECT_EQ(ran.card["failures"][0]["verdict"], verdict) << ran.card["failures"][0].dump(1);
    EXPECT_EQ(ran.card["failures"][0]["case"], "load");
  };
  expect("sleeper", "MISFIT_HANG_ENTRY", "hang");
  expect("dreamer", "MISFIT_HANG", "hang");
  expect("crasher", "MISFIT_CRASH_LOADING", "crash");
  expect("leaver", "MISFIT_EXIT", "crash");
  expect("printer", "MISFIT_PRINTS", "wrong");
}

// What is no plug-in, and profiles that cannot be: a verdict or an error, and the command goes on to say so.
TEST(Certify, WhatIsNoChipIsJudged) {
  const auto file = [](const std::string& name, const std::string& text) {
    const std::string path = cat(folder(), "/", name);
    std::ofstream(path) << text;
    return path;
  };
  const auto expect_no_load = [](const std::vector<std::string>& words, const std::string& persona,
                                 const std::string& says) {
    SCOPED_TRACE(words[0] + " " + persona);
    const Ran ran = certify(words, persona);
    EXPECT_EQ(ran.status, 1);
    EXPECT_EQ(ran.card["level"], "none");
    ASSERT_EQ(ran.card["failures"].size(), 1u);
    EXPECT_EQ(ran.card["failures"][0]["case"], "load");
    EXPECT_EQ(ran.card["failures"][0]["verdict"], "wrong");
    EXPECT_NE(ran.card["failures"][0]["detail"].get<std::string>().find(says), std::string::npos)
        << ran.card["failures"][0];
  };
  fs::create_directories(folder() + "/folder.so");
  expect_no_load({file("text.so", "#!/bin/sh\n")}, "", "it cannot be loaded");
  expect_no_load({file("empty.so", "")}, "", "it cannot be loaded");
  expect_no_load({folder() + "/folder.so"}, "", "it cannot be loaded");
  const std::string library = folder() + "/nothing.so", source = file("nothing.c", "int nothing(void) { return 0; }\n");
  must(cat("cc -shared -fPIC -o ", library, " ", source));
  expect_no_load({library}, "", "does not export trm_chip_entry_v1");
  expect_no_load({"refchip"}, "no-such-persona", "cannot work here");
  expect_no_load({"refchip"}, file("no_memory.json", R"({"name": "none", "memory": {"bytes": 0}})"),
                 "cannot work here");
  expect_no_load({"refchip"}, file("cut.json", R"({"name": "cut", "mem)"), "cannot work here");
  // One byte of memory is little, and no lie.
  const Ran tiny = certify({"refchip", "--level", "boots"},
                           file("one_byte.json", R"({"name": "one-byte", "memory": {"bytes": 1, "pinned_bytes": 1}})"));
  EXPECT_EQ(tiny.card["failures"].size(), 0u) << tiny.card["failures"].dump(1);
}

TEST(Certify, ACardIsSignedAndVerified) {
  const auto openssl = [](const std::string& words) { must("cd " + folder() + " && openssl " + words); };
  openssl("genpkey -algorithm ed25519 -out key.pem");
  openssl("pkey -in key.pem -pubout -out public.pem");
  openssl("genpkey -algorithm ed25519 -out other.pem");
  openssl("pkey -in other.pem -pubout -out other_public.pem");
  const std::string card = folder() + "/card.json", key = folder() + "/key.pem", known = folder() + "/public.pem";
  const CommandResult signing = run_command({"certify", "reference", "--level", "boots", "--json", "--sign", key});
  ASSERT_EQ(signing.status, 0) << signing.errors;
  std::ofstream(card) << signing.output;
  const auto verify = [&](const std::string& public_key) {
    return run_command({"certify", "--verify", card, "--public-key", public_key});
  };
  const CommandResult good = verify(known);
  EXPECT_EQ(good.status, 0) << good.errors;
  EXPECT_NE(good.output.find("is as it was signed"), std::string::npos) << good.output;
  EXPECT_NE(good.output.find("level \"boots\""), std::string::npos) << good.output;
  // Independent of us: the guide's own lines, by Python and the command openssl.
  const std::string guide = read_file(TRIREME_SOURCE_DIR "/docs/guide/certify-a-chip.md");
  const size_t begin = guide.find("python3 -c 'import base64"), end = guide.find("```", begin);
  ASSERT_NE(begin, std::string::npos);
  must("cd " + folder() + " && set -e\n" + guide.substr(begin, end - begin));

  const auto refused = [](const CommandResult& result, const std::string& says) {
    EXPECT_EQ(result.status, 2) << result.output;
    EXPECT_EQ(result.output, "");
    EXPECT_NE(result.errors.find(says), std::string::npos) << result.errors;
  };
  refused(verify(folder() + "/other_public.pem"), "is signed with another key");
  refused(verify(key), "holds no public key");
  refused(verify(folder() + "/nowhere.pem"), "nowhere.pem");
  refused(run_command({"certify", "--verify", card}), "--public-key");
  Json altered = Json::parse(signing.output);
  altered["level"] = "complete";
  std::ofstream(card) << altered.dump();
  refused(verify(known), "was altered after it was signed");
  altered.erase("signature");
  std::ofstream(card) << altered.dump();
  refused(verify(known), "is not signed");
  // A wrong key is told before the work.
  refused(run_command({"certify", "cpu", "--json", "--sign", card}), "holds no private key");
  refused(run_command({"certify", "cpu", "--sign", key}), "--json");
}

TEST(Certify, APlantedBugIsFoundAndShrunk) {
  // tanh is off by a part in ten thousand beyond 1.5.
  const std::string library = template_with("planted", "tanhf(", "(1.0001f) * tanhf(");
  const Ran ran = certify({library, "--level", "trains"});
  EXPECT_EQ(ran.status, 1);
  ASSERT_GE(ran.card["failures"].size(), 1u);
  for (const Json& failure : ran.card["failures"]) {
    const std::string detail = failure["detail"];
    if (detail.find("graph trireme/1") == std::string::npos) continue;
    const std::string program = detail.substr(detail.find("graph trireme/1"));
    size_t nodes = 0;
    for (const std::string& line : split(program, '\n')) nodes += line.find(" = ") != std::string::npos;
    EXPECT_LE(nodes, 5u) << program;
    EXPECT_NE(program.find("tanh("), std::string::npos) << program;
  }
  EXPECT_NE(ran.card["failures"][0]["detail"].get<std::string>().find("tanh("), std::string::npos);
}

// What the house ships is what it asks of others.
TEST(Certify, TheBuiltInChipsAreComplete) {
  for (const char* chip : {"cpu", "xpu"}) {
    const Ran ran = certify({chip});
    EXPECT_EQ(ran.status, 0) << chip << ": " << ran.card["why_not_more"] << ran.card["failures"];
    EXPECT_EQ(ran.card["level"], "complete") << chip;
  }
}

TEST(Certify, AnInterruptedRunGoesOn) {
  const std::string state = folder() + "/state.json";
  CommandOptions killed;
  killed.kill_after = 4.5;  // the state is written every 3 seconds
  const CommandResult first = run_command({"certify", "refchip", "--level", "trains", "--resume", state}, killed);
  ASSERT_EQ(first.status, -1) << "it ended before it could be interrupted";
  ASSERT_TRUE(fs::exists(state));
  const size_t kept = Json::parse(read_file(state))["cases"].size();
  EXPECT_GT(kept, 10u);
  const Ran second = certify({"refchip", "--level", "trains", "--resume", state});
  EXPECT_EQ(second.status, 0) << second.card["why_not_more"];
  const size_t all = Json::parse(read_file(state))["cases"].size();
  EXPECT_GT(all, kept);
  const Ran third = certify({"refchip", "--level", "trains", "--resume", state});  // nothing is left to do
  EXPECT_EQ(third.status, 0);
  EXPECT_EQ(third.card["totals"], second.card["totals"]);
  EXPECT_LT(third.card["seconds"].get<double>(), 0.5 * second.card["seconds"].get<double>());

  const auto refused = [&](const std::vector<std::string>& words, const std::string& says) {
    const CommandResult result = run_command(words);
    EXPECT_EQ(result.status, 2);
    EXPECT_EQ(result.output, "");
    EXPECT_NE(result.errors.find(says), std::string::npos) << result.errors;
  };
  refused({"certify", "refchip", "--level", "trains", "--resume", state, "--seed", "2"}, "belongs to another run");
  std::ofstream(state) << "{\"run\": ";
  refused({"certify", "refchip", "--level", "trains", "--resume", state}, "does not hold the state");
}

TEST(Certify, WrongUseIsRefusedWithWhatToDo) {
  const auto refused = [](const std::vector<std::string>& words, const std::string& says) {
    SCOPED_TRACE(says);
    const CommandResult result = run_command(words);
    EXPECT_EQ(result.status, 2) << result.output;
    EXPECT_NE(result.errors.find(says), std::string::npos) << result.errors;
  };
  refused({"certify"}, "which chip?");
  refused({"certify", "cpux"}, "did you mean 'cpu'?");
  refused({"certify", "/nowhere/chip.so"}, "no chip plug-in at /nowhere/chip.so");
  refused({"certify", "cpu", "--level", "boot"}, "did you mean \"boots\"?");
  refused({"certify", "cpu", "--level", "scales"}, "not offered");
}

// The shrinker by itself: of a long program that fails because of one op, that op alone remains.
TEST(Certify, ShrinkingLeavesTheOneOp) {
  size_t tried = 0;
  for (uint64_t s = 1; s <= 40; ++s) {
    const certify::Program program = certify::random_program(s, 14);
    const auto has_tanh = [](const certify::Program& p) {
      const auto nodes = p.graph.nodes();
      return std::any_of(nodes.begin(), nodes.end(), [](const Node* node) { return node->is("tanh"); });
    };
    if (!has_tanh(program)) continue;
    ++tried;
    const certify::Program least = certify::shrink(program, has_tanh);
    EXPECT_EQ(least.graph.nodes().size(), 2u) << "a parameter and the tanh";
    EXPECT_EQ(least.inputs.size(), least.graph.inputs().size());
  }
  EXPECT_GT(tried, 5u);
}

}  // namespace
}  // namespace trireme::testing
