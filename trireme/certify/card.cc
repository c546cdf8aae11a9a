// The chip card: what a chip is, which level it reached, how each op in each type ended, what another kernel would
// bring, and every failure in full.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "trireme/base/strings.h"
#include "trireme/certify/certificate.h"

namespace trireme::certify {

using Json = nlohmann::json;

namespace {
void count(Json& row, const std::string& what) { row[what] = row.contains(what) ? row[what].get<int>() + 1 : 1; }
}  // namespace

std::vector<runtime::Gain> gain_list(const Certificate& c) {
  std::map<std::string, double> saved;
  double today = 0.0;
  for (const CaseResult& result : c.cases) {
    if (result.part != Part::kModels) continue;
    const Json figure = Json::parse(result.outcome.detail, nullptr, false);
    if (!figure.is_object() || !figure.contains("gains_ns")) continue;
    today += figure["planned_ns"].get<double>();
    for (const auto& [op, ns] : figure["gains_ns"].items()) saved[op] += ns.get<double>();
  }
  std::vector<runtime::Gain> out;
  for (const auto& [op, ns] : saved) out.push_back({op, today / (today - ns), ns});
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.saved_ns > b.saved_ns; });
  return out;
}

std::string card_json(const Certificate& c) {
  Json parts = Json::object(), ops = Json::object(), failures = Json::array(), figures = Json::object();
  for (const CaseResult& result : c.cases) {
    if (!result.done) continue;
    const std::string verdict(name(result.outcome.verdict));
    count(parts[std::string(name(result.part))], verdict);
    if (!result.op.empty()) {
      count(ops[result.op][result.dtype], result.outcome.verdict == Verdict::kPass ? result.outcome.detail : verdict);
    }
    if (result.part == Part::kModels || result.part == Part::kSpeed) {
      const Json figure = Json::parse(result.outcome.detail, nullptr, false);
      if (!figure.is_discarded()) figures[result.name] = figure;
    }
    if (is_failure(result.outcome.verdict)) {
      failures.push_back({{"part", name(result.part)},
                          {"case", result.name},
                          {"verdict", verdict},
                          {"detail", result.outcome.detail}});
    }
  }
  Json gains = Json::array();
  for (const runtime::Gain& gain : gain_list(c)) {
    gains.push_back({{"op", gain.op}, {"saved_ns", gain.saved_ns}, {"speedup", gain.speedup}});
  }
  Json totals = Json::object();
  for (const auto& [verdict, count] : c.totals()) totals[std::string(name(verdict))] = count;
  return Json{{"chip", c.chip},
              {"vendor", c.vendor},
              {"version", c.version},
              {"build_id", c.build_id},
              {"from", c.path},
              {"device", c.device},
              {"asked", name(c.asked)},
              {"level", name(c.reached)},
              {"certified", c.certified()},
              {"why_not_more", c.why_not_more},
              {"seed", c.seed},
              {"seconds", c.seconds},
              {"faults_shown", c.faults_shown},
              {"collectives", c.communicates ? "not certified: the host does not drive them yet" : "not offered"},
              {"totals", totals},
              {"parts", parts},
              {"ops", ops},
              {"figures", figures},
              {"gains", gains},
              {"failures", failures}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace trireme::certify
