// The command `trireme tipc`: right chips pass, and every kind of fault that is planted turns its row red.
//
// ctest: command shards=3
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "command.h"
#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/certify/tipc.h"

namespace trireme {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using Json = nlohmann::json;

// Three kinds of points, by the angle of (a, b), and a number that depends on them.
std::string points() {
  std::string text = "a,b,kind,y\n";
  for (int i = 0; i < 90; ++i) {
    const double angle = 0.7 * i, size = 1.0 + 0.3 * std::sin(1.9 * i);
    const double a = size * std::cos(angle), b = size * std::sin(angle);
    const int kind = static_cast<int>(std::fmod(angle, 6.283185307) / 2.1);
    text += cat(a, ",", b, ",", "xyz"[std::min(kind, 2)], ",", 0.4 * a - 0.3 * b + 1, "\n");
  }
  return text;
}

// A folder with table.yaml, which names mlp.yaml (a classifier) and line.yaml (a regression).
struct Place {
  TemporaryFolder folder;
  std::string table = folder / "table.yaml";
  explicit Place(const std::string& rows) {
    write_file_atomically(folder / "points.csv", points());
    const auto config = [&](const std::string& name, const std::string& loss, const std::string& label,
                            const std::string& ignored) {
      write_file_atomically(
          folder / name,
          cat("Global: {seed: 3, epochs: 3}\n", "Arch: {name: mlp, hidden: [16]}\n", "Loss: {name: ", loss, "}\n",
              "Optimizer: {learning_rate: 2e-2}\n", "DataLoader: {dataset: csv, label: ", label, ", ignore: [", ignored,
              "], hold_back: 17, batch_size: 6, path: ", folder / "points.csv", "}\n"));
    };
    config("mlp.yaml", "cross_entropy", "kind", "y");
    config("line.yaml", "mse", "y", "kind");
    write_file_atomically(table, rows);
  }
};

struct Ran {
  int status = 0;
  Json report;
  const Json& row(const std::string& name) const {
    for (const Json& each : report.at("rows")) {
      if (each["name"] == name) return each;
    }
    throw std::runtime_error("no row " + name);
  }
  // The names of the checks that a row missed.
  std::vector<std::string> missed(const std::string& name) const {
    std::vector<std::string> out;
    for (const Json& check : row(name).value("checks", Json::array())) {
      if (!check["passed"]) out.push_back(check["name"]);
    }
    return out;
  }
  double figure(const std::string& name, const std::string& check) const {
    for (const Json& each : row(name).at("checks")) {
      if (each["name"] == check) return each["figure"];
    }
    throw std::runtime_error("no check " + check);
  }
};

Ran tipc(const Place& place, const std::string& chip, std::vector<std::string> more = {},
         const std::map<std::string, std::string>& environment = {}) {
  std::vector<std::string> words = {"tipc", place.table, "--chip", chip, "--json"};
  words.insert(words.end(), more.begin(), more.end());
  const testing::CommandResult result = testing::run_command(words, {.environment = environment});
  Ran out{result.status, Json::parse(result.output, nullptr, false)};
  EXPECT_TRUE(out.report.is_object()) << "output: " << result.output << "\nerrors: " << result.errors;
  return out;
}
std::map<std::string, std::string> persona(const std::string& name) { return {{"TRIREME_REFCHIP_PERSONA", name}}; }

// The template's chip as a plug-in, with `from` replaced by `to` in its code.
std::string planted(const TemporaryFolder& folder, const std::string& name, const std::string& from,
                    const std::string& to) {
  const std::string source = cat(folder / name, "/chip.c"), library = folder / (name + ".so");
  EXPECT_EQ(
      std::system(
          cat("python3 " TRIREME_SOURCE_DIR "/tools/new_chip.py ", name, " ", folder.path(), " >/dev/null").c_str()),
      0);
  std::string code = read_file(source);
  const size_t at = code.find(from);
  EXPECT_NE(at, std::string::npos) << "the template no longer says: " << from;
  if (at != std::string::npos) code.replace(at, from.size(), to);
  write_file_atomically(source, "#include <stdlib.h>\n" + code);
  EXPECT_EQ(
      std::system(
          cat("cc -std=c11 -O1 -w -fPIC -shared -I" TRIREME_SOURCE_DIR " -o ", library, " ", source, " -lm").c_str()),
      0);
  return library;
}

constexpr const char* kMlp = "models: [{name: mlp, config: mlp.yaml}]\n";
constexpr const char* kNormal = "models: [{name: mlp, config: mlp.yaml, modes: [normal]}]\n";

// --- right chips ----------------------------------------------------------------------------------------------------

TEST(Tipc, TheCpuPassesInAllModes) {
  const Place place("models:\n  - {name: mlp, config: mlp.yaml}\n  - {name: line, config: line.yaml}\n");
  const std::string page = place.folder / "page.md";
  const Ran ran = tipc(place, "cpu", {"--page", page});
  EXPECT_EQ(ran.status, 0) << ran.report.dump(1);
  EXPECT_EQ(ran.report["passed"], true);
  EXPECT_EQ(ran.report["pass"], 8);
  for (const char* model : {"mlp", "line"}) {
    for (const char* mode : {"normal", "bf16", "f16", "int8"}) {
      const std::string name = cat(model, "/", mode);
      SCOPED_TRACE(name);
      EXPECT_EQ(ran.row(name)["verdict"], "pass");
      EXPECT_EQ(ran.figure(name, "loss"), 0.0) << "the same run twice";
      EXPECT_LT(ran.figure(name, "learns"), 0.9);
      EXPECT_THAT(read_file(page), HasSubstr("| " + name + " | pass |"));
      EXPECT_EQ(ran.row(name)["chain"]["losses"].size(), 36u) << "73 examples, batches of 6, 3 epochs";
      EXPECT_EQ(ran.row(name)["chain"]["examples"], 17);
    }
    // What each mode is: narrow types train otherwise, 8 bits infer otherwise.
    const auto curve = [&](const char* mode) { return ran.row(cat(model, "/", mode))["chain"]["losses"]; };
    EXPECT_NE(curve("bf16"), curve("normal"));
    EXPECT_NE(curve("f16"), curve("bf16"));
    EXPECT_EQ(curve("int8"), curve("normal"));
    EXPECT_LT(ran.figure(cat(model, "/normal"), "outputs"), 1e-5);
    EXPECT_GT(ran.figure(cat(model, "/int8"), "outputs"), 1e-4);
  }
  const Json& chain = ran.row("mlp/normal")["chain"];
  EXPECT_GT(chain["accuracy"].get<double>(), 0.6);
  EXPECT_EQ(chain["accuracy"], chain["inferred_accuracy"]);
  EXPECT_NEAR(chain["loss"].get<double>(), chain["inferred_loss"].get<double>(), 1e-5);
}

TEST(Tipc, ARightChipPassesAndItsCpuShareIsTold) {
  const Place place(kMlp);
  const Ran ran = tipc(place, "refchip:1", {}, persona("full"));
  EXPECT_EQ(ran.status, 0) << ran.report.dump(1);
  EXPECT_EQ(ran.report["device"], "refchip:1");
  EXPECT_EQ(ran.report["pass"], 4);
  EXPECT_EQ(ran.figure("mlp/normal", "cpu_share"), 0.0);
  EXPECT_GT(ran.figure("mlp/bf16", "loss"), 0.0) << "it rounds in another order";
}

TEST(Tipc, AModeWhoseTypeTheChipLacksIsSkippedAndSaysSo) {
  const Place place(kMlp);
  const Ran ran = tipc(place, "refchip", {}, persona("no-bf16"));
  EXPECT_EQ(ran.status, 0) << ran.report.dump(1);
  EXPECT_EQ(ran.row("mlp/bf16")["verdict"], "skip");
  EXPECT_EQ(ran.row("mlp/bf16")["detail"], "refchip:0 has no products of bf16");
  EXPECT_EQ(ran.report["pass"], 3);
}

// --- one fault each -------------------------------------------------------------------------------------------------

TEST(Tipc, AChipThatTrainsOtherwiseMissesTheLossBand) {
  const Place place(kNormal);
  const Ran ran = tipc(place, "refchip", {}, persona("broken-wrong-in-place"));
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.missed("mlp/normal"), ::testing::Contains("loss"));
  EXPECT_EQ(ran.row("mlp/normal")["verdict"], "fail");
}

TEST(Tipc, AChipThatComputesOtherwiseMissesTheAccuracyBand) {
  const Place place(kNormal);
  const Ran ran = tipc(place, "refchip", {}, persona("broken-ignored-stride"));
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.missed("mlp/normal"), ::testing::Contains("accuracy"));
}

TEST(Tipc, AChipThatInfersOtherwiseMissesTheOutputsBand) {
  const Place place(kNormal);
  const Ran ran = tipc(place, "refchip", {}, persona("broken-stale-workspace"));
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.missed("mlp/normal"), ::testing::Contains("outputs"));
}

// A right chip and a band that nothing can keep: that check misses, and no other.
TEST(Tipc, EachBandDecidesAlone) {
  const Place place(
      "models:\n"
      "  - {name: loss, config: mlp.yaml, modes: [bf16], bands: {all: {loss: 0}}}\n"
      "  - {name: accuracy, config: line.yaml, modes: [bf16], bands: {bf16: {accuracy: 0}}}\n"
      "  - {name: outputs, config: mlp.yaml, modes: [int8], bands: {int8: {outputs: 1e-9}}}\n"
      "  - {name: learns, config: mlp.yaml, modes: [normal], options: [Optimizer.learning_rate=0]}\n"
      "  - {name: fine, config: mlp.yaml, modes: [normal]}\n");
  const std::string page = place.folder / "page.md";
  const Ran ran = tipc(place, "refchip", {"--page", page}, persona("full"));
  EXPECT_EQ(ran.status, 1);
  EXPECT_EQ(ran.report["fail"], 4);
  EXPECT_THAT(ran.missed("loss/bf16"), ElementsAre("loss"));
  EXPECT_THAT(ran.missed("accuracy/bf16"), ElementsAre("accuracy"));
  EXPECT_THAT(ran.missed("outputs/int8"), ElementsAre("outputs"));
  EXPECT_THAT(ran.missed("learns/normal"), ElementsAre("learns"));
  EXPECT_THAT(ran.missed("fine/normal"), IsEmpty());
  EXPECT_THAT(read_file(page), HasSubstr("- outputs/int8: outputs "));
  EXPECT_THAT(read_file(page), HasSubstr("| outputs/int8 | **fail** |"));
}

TEST(Tipc, AChipThatNeedsTheCpuMissesItsBudget) {
  const Place place(kNormal);
  const std::string json = place.folder / "no-products.json";
  write_file_atomically(json, R"({"name": "no-products", "compute": {"ops": {"except": ["dot_general"]}}})");
  const Ran ran = tipc(place, "refchip", {}, persona(json));
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.missed("mlp/normal"), ElementsAre("cpu_share"));
  EXPECT_THAT(ran.row("mlp/normal")["chain"]["helped"].get<std::string>(), HasSubstr("dot_general"));
  const Place generous("bands: {all: {cpu_share: 1}}\n" + std::string(kNormal));
  EXPECT_EQ(tipc(generous, "refchip", {}, persona(json)).status, 0);
}

// One fault each in the template's chip, such that only the classifier meets it: its row turns red by the check or the
// words that are meant for the fault, and by no other; the regression's row beside it stays green.
struct Fault {
  std::string name, from, to;       // words of the template, and what stands there instead
  std::vector<std::string> missed;  // checks; none: the chain itself fails
  std::vector<std::string> told;    // then in the row's detail
  std::vector<std::string> more = {};
};

// The last batch of an evaluation is the only one of five examples. Its logits are computed once after each epoch of
// three, then when the checkpoint is evaluated, then next to the exported model: `when` counts.
std::string at_logits(int when, const std::string& what) {
  return cat("case DOT: { static int seen; run_dot(&x[0], &x[1], y); ",
             "if (y->type.dims[1] == 5 && y->type.dims[2] == 3 && ++seen == ", when, ") { ", what, " } break; }");
}
constexpr const char* kDot = "case DOT: run_dot(&x[0], &x[1], y); break;";
const std::vector<Fault>& faults() {
  static const std::vector<Fault> list = {
      {"loss", "return expf(x);", "return 1.05f * expf(x);", {"loss"}, {}},
      {"learns", "return sqrtf(x);", "return 1e30f;", {"loss", "learns", "accuracy"}, {}},
      {"accuracy", "sum ? whole + get_int(x, j)", "sum ? 0", {"accuracy"}, {}},
      {"outputs", kDot, at_logits(5, "int64_t i[TRM_MAX_RANK] = {0}; set_float(y, i, 1e3f);"), {"outputs"}, {}},
      {"share", "{\"log\", UNARY, F32},", "", {"cpu_share"}, {}},
      {"not_a_number", "return logf(x);", "return NAN;", {}, {"train: the loss is nan"}},
      {"crash_in_training", "return logf(x);", "abort();", {}, {"crash: killed by signal 6", ": train"}},
      {"crash_in_evaluation", kDot, at_logits(4, "abort();"), {}, {"crash: killed by signal 6", ": evaluate"}},
      {"crash_in_inference", kDot, at_logits(5, "abort();"), {}, {"crash: killed by signal 6", ": infer"}},
      {"exit_in_inference", kDot, at_logits(5, "exit(0);"), {}, {"crash: ", ": infer"}},
      {"hang_in_evaluation",
       kDot,
       at_logits(4, "for (;;) {}"),
       {},
       {"hang: not finished after 4 s", ": evaluate"},
       {"--timeout", "4"}},
      {"error_in_inference",
       "  run(&k);\n",
       "  { static int seen; const Tensor* y = &k.argument[k.arguments - 1];\n"
       "    if (k.op->family == DOT && y->type.dims[1] == 5 && y->type.dims[2] == 3 && ++seen == 5)\n"
       "      return fail(err, TRM_FAULT, \"a planted fault\"); }\n  run(&k);\n",
       {},
       {"infer: ", "a planted fault"}},
  };
  return list;
}

class TipcFault : public ::testing::TestWithParam<Fault> {};
INSTANTIATE_TEST_SUITE_P(Planted, TipcFault, ::testing::ValuesIn(faults()),
                         [](const auto& info) { return info.param.name; });

TEST_P(TipcFault, TurnsItsRowRedAndNoOther) {
  const Fault& fault = GetParam();
  const TemporaryFolder folder;
  const std::string library = planted(folder, "faulty", fault.from, fault.to);
  const Place place(cat("models:\n  - {name: mlp, config: mlp.yaml, modes: [normal]}\n",
                        "  - {name: line, config: line.yaml, modes: [normal], options: [Optimizer.name=sgd]}\n"));
  const Ran ran = tipc(place, "faulty", fault.more, {{"TRIREME_CHIPS", library}});
  EXPECT_EQ(ran.status, 1);
  EXPECT_EQ(ran.report["fail"], 1) << ran.report.dump(1);
  EXPECT_EQ(ran.row("line/normal")["verdict"], "pass") << ran.row("line/normal").dump(1);
  EXPECT_EQ(ran.row("mlp/normal")["verdict"], "fail");
  EXPECT_EQ(ran.missed("mlp/normal"), fault.missed);
  for (const std::string& words : fault.told) {
    EXPECT_THAT(ran.row("mlp/normal")["detail"].get<std::string>(), HasSubstr(words));
  }
}

TEST(Tipc, TheTemplateThatTheFaultsArePlantedInIsRight) {
  const TemporaryFolder folder;
  const std::string library = planted(folder, "right", "return expf(x);", "return expf(x);");
  const Place place(
      "models:\n  - {name: mlp, config: mlp.yaml, modes: [normal]}\n"
      "  - {name: line, config: line.yaml, modes: [normal]}\n");
  const Ran ran = tipc(place, "right", {}, {{"TRIREME_CHIPS", library}});
  EXPECT_EQ(ran.status, 0) << ran.report.dump(1);
  EXPECT_EQ(ran.report["pass"], 2);
}

TEST(Tipc, WhatOnlyOneModeNeedsTurnsThatRowRed) {
  const Place place("models: [{name: mlp, config: mlp.yaml, modes: [normal, int8]}]\n");
  const std::string json = place.folder / "no-rounding.json";
  write_file_atomically(json, R"({"name": "no-rounding", "compute": {"ops": {"except": ["round_even"]}}})");
  const Ran ran = tipc(place, "refchip", {}, persona(json));
  EXPECT_EQ(ran.status, 1);
  EXPECT_EQ(ran.row("mlp/normal")["verdict"], "pass");
  EXPECT_THAT(ran.missed("mlp/int8"), ElementsAre("cpu_share"));
}

TEST(Tipc, AChipThatDoesNotOpenIsNoPass) {
  const TemporaryFolder folder;
  const std::string library =
      planted(folder, "closed", "if (option_count)", "return fail(err, TRM_FAULT, \"no power\"); if (option_count)");
  const Place place(kNormal);
  const auto result =
      testing::run_command({"tipc", place.table, "--chip", "closed"}, {.environment = {{"TRIREME_CHIPS", library}}});
  EXPECT_NE(result.status, 0);
  EXPECT_THAT(result.errors, HasSubstr("no power"));
}

TEST(Tipc, AnErrorOfTheChipFailsTheRowAndNamesTheStage) {
  const Place place(kNormal);
  const Ran ran = tipc(place, "refchip", {}, persona("broken-yes-then-no-prepare"));
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.row("mlp/normal")["detail"].get<std::string>(), HasSubstr("train: "));
}

TEST(Tipc, FiguresThatAreNotNumbersFail) {
  certify::TipcRow row;
  row.bands = {1e9, 1.0, 1e9, 1.0};
  certify::TipcChain good;
  good.losses = {2.0, 1.5, 1.0, 0.5, 0.25};
  good.accuracy = good.inferred_accuracy = 0.9;
  const auto missed = [&](const certify::TipcChain& chain) {
    std::vector<std::string> out;
    for (const auto& check : certify::check_chain(row, chain, good, good, false)) {
      if (!check.passed()) out.push_back(check.name);
    }
    return out;
  };
  EXPECT_THAT(missed(good), IsEmpty());
  certify::TipcChain bad = good;
  bad.losses[4] = NAN;
  EXPECT_THAT(missed(bad), ElementsAre("loss", "learns"));
  bad = good, bad.losses.pop_back();
  EXPECT_THAT(missed(bad), ElementsAre("loss")) << "a run of another length";
  bad = good, bad.losses.clear();
  EXPECT_THAT(missed(bad), ElementsAre("loss", "learns"));
  bad = good, bad.inferred_accuracy = NAN;
  EXPECT_THAT(missed(bad), ElementsAre("accuracy"));
  bad = good, bad.outputs_off = INFINITY;
  EXPECT_THAT(missed(bad), ElementsAre("outputs"));
  bad = good, bad.train_cpu_share = NAN;
  EXPECT_THAT(missed(bad), ElementsAre("cpu_share"));
  // What leaves a process as JSON comes back, NaN too.
  EXPECT_TRUE(std::isnan(certify::parse_tipc_chain(certify::json(bad)).train_cpu_share));
  EXPECT_EQ(certify::parse_tipc_chain(certify::json(bad)).losses, good.losses);
  EXPECT_THROW(certify::parse_tipc_chain("{}"), Error);
}

// --- going on, and choosing -----------------------------------------------------------------------------------------

TEST(Tipc, GoesOnFromWhatIsDone) {
  const Place place(kMlp);
  const std::string state = place.folder / "state.json";
  testing::CommandOptions killed{.kill_after = 0.6};
  killed.environment = persona("full");
  testing::run_command({"tipc", place.table, "--chip", "refchip", "--resume", state}, killed);
  const Json before = file_exists(state) ? Json::parse(read_file(state)) : Json{{"cases", Json::object()}};
  const Ran second = tipc(place, "refchip", {"--resume", state}, persona("full"));
  EXPECT_EQ(second.status, 0);
  const Json after = Json::parse(read_file(state));
  EXPECT_EQ(after["cases"].size(), 7u) << "three references and four rows";
  for (const auto& [name, outcome] : before["cases"].items()) EXPECT_EQ(after["cases"][name], outcome) << name;
  const Ran third = tipc(place, "refchip", {"--resume", state}, persona("full"));
  EXPECT_EQ(third.report["rows"], second.report["rows"]) << "nothing is run again, its seconds are the same";

  const auto refused = [&](const std::string& chip, const std::string& words) {
    const auto result = testing::run_command({"tipc", place.table, "--chip", chip, "--resume", state});
    EXPECT_EQ(result.status, 2);
    EXPECT_THAT(result.errors, HasSubstr(words));
  };
  refused("cpu", "belongs to another run");
  write_file_atomically(place.folder / "mlp.yaml", read_file(place.folder / "mlp.yaml") + "# changed\n");
  refused("refchip", "belongs to another run");
  write_file_atomically(state, "{");
  refused("refchip", "does not hold the state");
}

TEST(Tipc, RunsTheRowsThatAreAskedFor) {
  const Place place("models:\n  - {name: mlp, config: mlp.yaml}\n  - {name: line, config: line.yaml}\n");
  const auto names = [](const Ran& ran) {
    std::vector<std::string> out;
    for (const Json& row : ran.report["rows"]) out.push_back(row["name"]);
    return out;
  };
  EXPECT_THAT(names(tipc(place, "cpu", {"--row", "line/int8", "--row", "mlp/bf16"})),
              ElementsAre("mlp/bf16", "line/int8"));
  EXPECT_EQ(names(tipc(place, "cpu", {"--row", "line"})).size(), 4u);
}

TEST(Tipc, RowsWithoutDataAreSkippedAndNothingRunIsNoPass) {
  const Place place(
      "models:\n"
      "  - {name: absent, config: mlp.yaml, modes: [normal], options: [DataLoader.path=no/such.csv]}\n"
      "  - {name: mlp, config: mlp.yaml, modes: [normal]}\n");
  const Ran both = tipc(place, "cpu");
  EXPECT_EQ(both.status, 0);
  EXPECT_EQ(both.report["skip"], 1);
  EXPECT_THAT(both.row("absent/normal")["detail"].get<std::string>(), HasSubstr("its data are missing"));
  const Ran none = tipc(place, "cpu", {"--row", "absent"});
  EXPECT_EQ(none.status, 1);
  EXPECT_EQ(none.report["passed"], false);
}

// --- what is refused ------------------------------------------------------------------------------------------------

TEST(Tipc, RefusesWhatItDoesNotKnow) {
  const Place place(kMlp);
  const auto refused = [&](const std::string& table, const std::string& words, std::vector<std::string> more = {}) {
    write_file_atomically(place.table, table);
    std::vector<std::string> all = {"tipc", place.table};
    if (more.empty()) more = {"--chip", "cpu"};
    all.insert(all.end(), more.begin(), more.end());
    const auto result = testing::run_command(all);
    EXPECT_EQ(result.status, 2) << table;
    EXPECT_THAT(result.errors, HasSubstr(words));
  };
  refused("modles: []", "table.yaml:1: unknown key 'modles' in the table; did you mean 'models'?");
  refused("models: []", "models is missing");
  refused("models: [{config: mlp.yaml}]", "a model has no name");
  refused("models:\n  - {name: a b, config: mlp.yaml}", "letters, digits");
  refused("models: [{name: a, config: mpl.yaml}]", "the configuration of a does not exist: ");
  refused("models: [{name: a, config: mlp.yaml, modes: [int9]}]", "unknown mode 'int9' of a; did you mean 'int8'?");
  refused("models: [{name: a, config: mlp.yaml, modes: [f16, f16]}]", "has the mode f16 twice");
  refused("models: [{name: a, config: mlp.yaml}, {name: a, config: mlp.yaml}]", "two models are called a");
  refused("models: [{name: a, config: mlp.yaml, bands: {all: {los: 1}}}]", "did you mean 'loss'?");
  refused("bands: {normal: {loss: -1}}\n" + std::string(kMlp),
          "bands.normal: loss must be a number from 0; given '-1'");
  refused("bands: {normal: {accuracy: 2}}\n" + std::string(kMlp), "accuracy must be a number from 0 to 1; given '2'");
  refused("bands: {normal: {loss: nan}}\n" + std::string(kMlp), "loss must be a number from 0");
  refused("models: [{name: a, config: mlp.yaml, options: [DataLoader.hold_back=0]}]", "holds back no examples");
  refused("models: [{name: a, config: mlp.yaml, options: [Arch.nam=b]}]", "did you mean 'name'?");
  refused("models: [", "this is not YAML");
  refused("- 1", "the table must be a map of: bands, models");
  refused(kMlp, "no chip 'refchp'; did you mean 'refchip'?", {"--chip", "refchp"});
  refused(kMlp, "the table has no row 'mlp/bf61'; did you mean 'mlp/bf16'?", {"--chip", "cpu", "--row", "mlp/bf61"});
  refused(kMlp, "--chip is required", {"--json"});
  refused(kMlp, "--timeout", {"--chip", "cpu", "--timeout", "-1"});
}

TEST(Tipc, TheTableOfTheExamplesIsValidAndLargeEnough) {
  const auto table = certify::read_tipc_table(std::string(TRIREME_SOURCE_DIR) + "/examples/tipc/table.yaml");
  EXPECT_GE(table.rows.size(), 20u);
}

}  // namespace
}  // namespace trireme
