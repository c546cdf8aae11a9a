// What `trireme tipc` found out, as JSON and as a page.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "trireme/base/strings.h"
#include "trireme/certify/tipc.h"

namespace trireme::certify {

namespace {

std::string short_text(double value) {
  char text[48];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

std::string percent(double share) {
  char text[48];
  std::snprintf(text, sizeof text, "%.1f%%", 100 * share);
  return text;
}

// One line, without what Markdown would take for a table or a tag.
std::string plain(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') out += ' ';
    else if (c == '|') out += "\\|";
    else if (c == '<') out += "&lt;";
    else out += c;
  }
  return out;
}

const TipcCheck* find(const TipcResult& row, std::string_view name) {
  for (const TipcCheck& check : row.checks) {
    if (check.name == name) return &check;
  }
  return nullptr;
}

}  // namespace

std::string json(const TipcReport& report) {
  nlohmann::json rows = nlohmann::json::array();
  for (const TipcResult& row : report.rows) {
    nlohmann::json entry = {{"name", row.name}, {"verdict", name(row.verdict)}, {"seconds", row.seconds}};
    if (!row.detail.empty()) entry["detail"] = row.detail;
    for (const TipcCheck& check : row.checks) {
      entry["checks"].push_back({{"name", check.name},
                                 {"passed", check.passed()},
                                 {"figure", check.figure},
                                 {"limit", check.limit},
                                 {"detail", check.detail}});
    }
    if (!row.checks.empty()) entry["chain"] = nlohmann::json::parse(json(row.chain));
    rows.push_back(entry);
  }
  return nlohmann::json{{"device", report.device},
                        {"chip_name", report.chip_name},
                        {"build_id", report.build_id},
                        {"table", report.table},
                        {"passed", report.passed()},
                        {"pass", report.count(TipcVerdict::kPass)},
                        {"fail", report.count(TipcVerdict::kFail)},
                        {"skip", report.count(TipcVerdict::kSkip)},
                        {"seconds", report.seconds},
                        {"rows", rows}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string page_markdown(const TipcReport& report) {
  std::string out =
      cat("# TIPC: ", report.device, report.passed() ? " passes" : " fails", "\n\n", plain(report.chip_name),
          ", build ", plain(report.build_id), ", table `", report.table, "`: ", report.count(TipcVerdict::kPass),
          " rows pass, ", report.count(TipcVerdict::kFail), " fail, ", report.count(TipcVerdict::kSkip),
          " are skipped; ", static_cast<int64_t>(report.seconds),
          " s. Each cell is the figure and, behind the stroke, the largest that passes; "
          "**bold** does not.\n\n"
          "| row | verdict | accuracy, inferred |");
  constexpr std::string_view columns[] = {"loss", "learns", "accuracy", "outputs", "cpu_share"};
  for (const std::string_view column : columns) append(out, cat(" ", column, " |"));
  out += " s |\n|---|---|---|---|---|---|---|---|---|\n";
  for (const TipcResult& row : report.rows) {
    append(out,
           cat("| ", row.name, " | ", row.verdict == TipcVerdict::kFail ? "**fail**" : std::string(name(row.verdict)),
               " | ", row.checks.empty() ? "" : percent(row.chain.inferred_accuracy), " |"));
    for (const std::string_view column : columns) {
      const TipcCheck* check = find(row, column);
      const std::string cell = check == nullptr ? "" : cat(short_text(check->figure), " / ", short_text(check->limit));
      append(out, cat(" ", check != nullptr && !check->passed() ? "**" + cell + "**" : cell, " |"));
    }
    append(out, cat(" ", short_text(row.seconds), " |\n"));
  }
  for (const auto& [verdict, title] : {std::pair(TipcVerdict::kFail, "Failures"), {TipcVerdict::kSkip, "Skipped"}}) {
    if (report.count(verdict) == 0) continue;
    append(out, cat("\n## ", title, "\n\n"));
    for (const TipcResult& row : report.rows) {
      if (row.verdict != verdict) continue;
      if (!row.detail.empty()) append(out, cat("- ", row.name, ": ", plain(row.detail), "\n"));
      for (const TipcCheck& check : row.checks) {
        if (check.passed()) continue;
        append(out, cat("- ", row.name, ": ", check.name, " ", short_text(check.figure), ", allowed ",
                        short_text(check.limit), " (", plain(check.detail), ")\n"));
      }
    }
  }
  return out;
}

}  // namespace trireme::certify
