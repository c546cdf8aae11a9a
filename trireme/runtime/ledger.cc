#include "trireme/runtime/ledger.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "trireme/base/strings.h"

namespace trireme::runtime {

namespace {

std::string fixed(double value, int digits) {
  char buffer[48];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, value);
  return buffer;
}

std::string time_text(double ns) {
  if (ns < 1e3) return fixed(ns, 0) + " ns";
  if (ns < 1e6) return fixed(ns * 1e-3, 1) + " us";
  if (ns < 1e9) return fixed(ns * 1e-6, 2) + " ms";
  return fixed(ns * 1e-9, 2) + " s";
}

std::string padded(std::string text, size_t width) {
  if (text.size() > width) text = text.substr(0, width - 1) + "~";
  text.resize(width, ' ');
  return text;
}

}  // namespace

double Ledger::total_ns() const {
  double total = copy_ns;
  for (const LedgerRow& row : rows) total += row.estimated_ns;
  return total;
}

double Ledger::fallback_share() const {
  const double total = total_ns();
  double away = copy_ns;
  for (const LedgerRow& row : rows) away += row.on_target ? 0.0 : row.estimated_ns;
  return total > 0 ? away / total : 0.0;
}

std::string Ledger::line() const {
  std::map<std::string, int> where;
  std::vector<std::string> reasons;
  int away = 0;
  double away_ns = copy_ns;
  for (const LedgerRow& row : rows) {
    if (row.on_target) continue;
    away += row.nodes;
    away_ns += row.estimated_ns;
    where[row.device] += row.nodes;
    const std::string reason = cat(row.op, ": ", row.reason);
    if (std::find(reasons.begin(), reasons.end(), reason) == reasons.end()) reasons.push_back(reason);
  }
  std::string out = cat(target, " runs ", fixed(100.0 * (1.0 - fallback_share()), 1), "% of step time");
  if (away == 0) return out + " · nothing falls back";
  const size_t all = reasons.size();
  if (reasons.size() > 3) reasons.resize(3);
  std::vector<std::string> devices;
  for (const auto& [device, count] : where) devices.push_back(device);
  out += cat(" · ", away, away == 1 ? " op on " : " ops on ", join(devices, ", "), " (", join(reasons, "; "),
             all > 3 ? cat("; ", all - 3, " more") : "", ") · costs ", time_text(away_ns),
             "/step · trireme explain shows more");
  return out;
}

std::string Ledger::json() const {
  nlohmann::json list = nlohmann::json::array();
  for (const LedgerRow& row : rows) {
    list.push_back({{"op", row.op},
                    {"device", row.device},
                    {"shape", row.shapes},
                    {"source", row.source},
                    {"reason", row.reason},
                    {"ns", row.estimated_ns},
                    {"copy_ns", row.copy_ns},
                    {"nodes", row.nodes},
                    {"on_target", row.on_target}});
  }
  return nlohmann::json{{"target", target},         {"total_ns", total_ns()},
                        {"copy_ns", copy_ns},       {"fallback_share", fallback_share()},
                        {"launches", launches},     {"copies", copies},
                        {"rearranged", rearranged}, {"arena_bytes", arena_bytes},
                        {"live_bytes", live_bytes}, {"rows", list}}
      .dump();
}

std::string Ledger::table() const {
  std::string out = padded("op", 34) + padded("device", 14) + padded("result", 24) + padded("time", 11) +
                    padded("copies", 11) + "why there\n";
  for (const LedgerRow& row : rows) {
    out += padded(row.op, 34) + padded(row.device, 14) + padded(row.shapes, 24) +
           padded(time_text(row.estimated_ns), 11) + padded(row.copy_ns > 0 ? time_text(row.copy_ns) : "-", 11) +
           row.reason + "\n";
  }
  if (arena_bytes > 0) {
    out += cat("memory for values: ", fixed(static_cast<double>(arena_bytes) * 1e-6, 1), " MB, of which ",
               fixed(static_cast<double>(live_bytes) * 1e-6, 1), " MB are needed at once · ", rearranged,
               " copied into another layout\n");
  }
  return out + line() + "\n";
}

}  // namespace trireme::runtime
