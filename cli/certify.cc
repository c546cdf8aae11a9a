// trireme certify: proves a chip, from the eight functions it boots with to whole models.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands.h"
#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/certify/certificate.h"
#include "trireme/certify/signature.h"
#include "trireme/chip/chip.hpp"
#include "trireme/chip/loader.h"
#include "trireme/runtime/host.h"

namespace trireme::cli {

namespace {

struct Options {
  certify::CertifyOptions run;
  std::string level = "complete", html;
  std::string sign, verify, public_key;  // files
  bool json = false, self_test = false;
};

void print_failures(const certify::Certificate& certificate) {
  for (const certify::CaseResult& result : certificate.cases) {
    if (!result.done || !is_failure(result.outcome.verdict)) continue;
    std::printf("%-6s %s %s\n       %s\n", std::string(name(result.outcome.verdict)).c_str(),
                std::string(name(result.part)).c_str(), result.name.c_str(), result.outcome.detail.c_str());
  }
}

void certify_chip(const Options& options) {
  certify::CertifyOptions run = options.run;
  run.level = certify::parse_level(options.level);
  std::optional<certify::PrivateKey> key;  // read before the work, so that a wrong one is told at once
  if (!options.sign.empty()) key.emplace(read_file(options.sign), options.sign);
  const certify::Certificate certificate = certify::certify(run);
  if (!options.html.empty()) write_file_atomically(options.html, certify::page_html(certificate));
  if (options.json) {
    const std::string card = certify::card_json(certificate);
    std::printf("%s\n", (key ? key->sign(card) : card).c_str());
  } else {
    print_failures(certificate);
    std::string counts;
    for (const auto& [verdict, count] : certificate.totals()) {
      append(counts, cat(counts.empty() ? "" : ", ", count, " ", name(verdict)));
    }
    std::printf("%s (%s) %s: level \"%s\", seed %llu, %.0f s; %s\n", certificate.chip.c_str(),
                certificate.device.c_str(), certificate.certified() ? "is certified" : "is NOT certified",
                std::string(name(certificate.reached)).c_str(), static_cast<unsigned long long>(certificate.seed),
                certificate.seconds, counts.c_str());
    if (!certificate.why_not_more.empty()) std::printf("not more because: %s\n", certificate.why_not_more.c_str());
  }
  if (!certificate.certified()) throw CLI::RuntimeError(1);
}

void verify_card(const Options& options) {
  if (options.public_key.empty()) {
    throw Error(Code::kInvalidArgument, "--verify needs the signer's key: --public-key public.pem");
  }
  const std::string text = read_file(options.verify);
  const nlohmann::json card = nlohmann::json::parse(
      certify::verified_card(text, read_file(options.public_key), options.verify, options.public_key));
  const auto word = [&](const char* name) { return card.value(name, std::string("?")); };
  std::printf("%s is as it was signed with the key of %s: %s (%s), build %s, level \"%s\"\n", options.verify.c_str(),
              options.public_key.c_str(), word("chip").c_str(), word("device").c_str(), word("build_id").c_str(),
              word("level").c_str());
}

// ---- the certifier certified ---------------------------------------------------------------------------------------

constexpr const char* kPersona = "TRIREME_REFCHIP_PERSONA";
// Personas of refchip whose results must be right; the others fail by design.
constexpr const char* kHonest[] = {"full",         "minimal-13",      "minimal-8",   "mandatory", "handle-only",
                                   "whole-memory", "no-streams",      "no-bf16",     "no-i64",    "nhwc-only",
                                   "engine-only",  "no-strided-copy", "tiny-memory", "slow-link", "missing-top20"};

std::vector<std::string> broken_chips() {
  using NameOf = const char* (*)(uint32_t);
  std::vector<std::string> names;
  for (const chip::BuiltinChip& builtin : chip::builtin_chips()) {
    if (std::string_view(builtin.name) != "refchip") continue;
    TrmChip table = chip::sized<TrmChip>();
    if (builtin.entry(&runtime::host_services(), &table) != TRM_OK) break;
    const auto name = reinterpret_cast<NameOf>(const_cast<void*>(table.get_ext("refchip.defects", 1)));
    for (uint32_t i = 0; name(i) != nullptr; ++i) names.emplace_back(name(i));
    table.shutdown();
  }
  return names;
}

const certify::CaseResult* first_failure(const certify::Certificate& certificate) {
  for (const certify::CaseResult& result : certificate.cases) {
    if (result.done && is_failure(result.outcome.verdict)) return &result;
  }
  return nullptr;
}

void self_test(const Options& options) {
  nlohmann::json broken = nlohmann::json::object(), honest = nlohmann::json::object();
  int killed = 0, alarms = 0;
  const auto say = [&](const std::string& line) {
    if (!options.json) std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  };
  const auto run = [&](certify::CertifyOptions one, const std::string& persona) {
    if (persona.empty()) ::unsetenv(kPersona);
    else ::setenv(kPersona, persona.c_str(), 1);
    one.workers = options.run.workers;
    return certify::certify(one);
  };
  const auto told = [](const certify::CaseResult& result) {
    return cat(name(result.outcome.verdict), " in ", name(result.part), " ", result.name);
  };
  const std::vector<std::string> defects = broken_chips();
  for (const std::string& defect : defects) {
    certify::CertifyOptions one{.chip = "refchip", .seed = options.run.seed, .seconds = 10, .stop_at_failure = true};
    const certify::Certificate certificate = run(one, "broken-" + defect);
    const certify::CaseResult* found = first_failure(certificate);
    killed += found != nullptr;
    broken[defect] = {{"killed", found != nullptr}, {"seconds", certificate.seconds}};
    if (found != nullptr) {
      broken[defect].update({{"part", name(found->part)},
                             {"case", found->name},
                             {"verdict", name(found->outcome.verdict)},
                             {"detail", found->outcome.detail}});
    }
    say(cat(found != nullptr ? "killed   " : "SURVIVED ", defect, found != nullptr ? ": " + told(*found) : ""));
  }
  std::vector<std::pair<std::string, std::string>> chips;
  for (const chip::BuiltinChip& builtin : chip::builtin_chips()) {
    if (std::string_view(builtin.name) != "refchip") chips.emplace_back(builtin.name, "");
  }
  for (const char* persona : kHonest) chips.emplace_back("refchip", persona);
  for (const auto& [chip, persona] : chips) {
    for (uint64_t s = options.run.seed; s < options.run.seed + 3; ++s) {
      const certify::Certificate certificate = run({.chip = chip, .seed = s, .share = 8}, persona);
      const certify::CaseResult* found = first_failure(certificate);
      alarms += found != nullptr;
      const std::string who = cat(persona.empty() ? chip : persona, ", seed ", s);
      honest[who] = {{"cases", certificate.cases.size()}, {"seconds", certificate.seconds}};
      if (found != nullptr) honest[who].update({{"alarm", told(*found)}, {"detail", found->outcome.detail}});
      say(cat(found != nullptr ? "ALARM    " : "quiet    ", who,
              found != nullptr ? cat(": ", told(*found), ": ", found->outcome.detail) : std::string()));
    }
  }
  if (options.json) {
    std::printf("%s\n", nlohmann::json{{"killed", killed},
                                       {"total", defects.size()},
                                       {"false_alarms", alarms},
                                       {"honest", honest},
                                       {"broken", broken},
                                       {"seed", options.run.seed}}
                            .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                            .c_str());
  }
  say(cat(killed, " of ", defects.size(), " broken chips found, ", alarms, " false alarms on ", chips.size(),
          " honest chips over 3 seeds"));
  // Two in forty may slip through; an honest chip must never be blamed.
  if (alarms > 0 || 20 * killed < 19 * static_cast<int>(defects.size())) throw CLI::RuntimeError(1);
}

}  // namespace

void add_certify(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("certify", "Prove a chip; 1 when it does not reach the level");
  command->add_option("chip", options->run.chip, "name of a chip, or path of a plug-in");
  command->add_option("--level", options->level, "boots, trains, complete or engine")->capture_default_str();
  command->add_option("--seed", options->run.seed, "of values, shapes and orders")->capture_default_str();
  command->add_option("--timeout", options->run.seconds, "seconds per case")->capture_default_str();
  command->add_option("--workers", options->run.workers, "processes at a time")->capture_default_str();
  command->add_option("--resume", options->run.state_file, "keep what is done in this file, and go on from it");
  command->add_option("--html", options->html, "write a page about it to this file");
  CLI::Option* json =
      command->add_flag("--json", options->json, "print the chip card, one JSON line, and nothing else");
  command->add_option("--sign", options->sign, "sign the card with this Ed25519 key (a file in PEM)")->needs(json);
  command->add_option("--verify", options->verify, "tell whether this card is as it was signed, and do nothing else");
  command->add_option("--public-key", options->public_key, "the signer's public key, for --verify")->needs("--verify");
  command->add_flag("--self-test", options->self_test,
                    "certify chips that are broken on purpose, and honest ones, and tell how many are found");
  command->callback([options] {
    if (!options->verify.empty()) {
      verify_card(*options);
      return;
    }
    if (options->self_test) {
      self_test(*options);
      return;
    }
    if (options->run.chip.empty()) throw Error(Code::kInvalidArgument, "which chip? `trireme chips` lists them");
    certify_chip(*options);
  });
}

}  // namespace trireme::cli
