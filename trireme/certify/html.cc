// The certificate as a page: verdict and level on top, then each part, ops by element type, figures, and failures.
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "trireme/base/strings.h"
#include "trireme/certify/certificate.h"

namespace trireme::certify {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '&') out += "&amp;";
    else out += c;
  }
  return out;
}

std::string what(Part part) {
  switch (part) {
    case Part::kAbi: return "the contract of chip.h";
    case Part::kRuntime: return "memory, copies, streams, events, faults";
    case Part::kOps: return "primitives";
    case Part::kHonesty: return "honesty";
    case Part::kComposites: return "composites and gradients";
    case Part::kEngine: return "engine regions";
    case Part::kModels: return "models";
    default: return "speed";
  }
}

std::string parts_table(const Certificate& c) {
  std::map<Part, std::map<Verdict, int>> parts;
  for (const CaseResult& result : c.cases) {
    if (result.done) ++parts[result.part][result.outcome.verdict];
  }
  std::string out = "<table><tr><th>part<th>about<th>pass<th>unsupported<th>failed</tr>";
  for (auto& [part, ends] : parts) {
    int failed = 0;
    for (const auto& [verdict, count] : ends) failed += is_failure(verdict) ? count : 0;
    append(out, cat("<tr><td>", name(part), "<td>", what(part), "<td>", ends[Verdict::kPass], "<td>",
                    ends[Verdict::kUnsupported], "<td", failed > 0 ? " class='bad'>" : ">", failed, "</tr>"));
  }
  return out + "</table>";
}

// One row per op, one column per type: how many of its cases ran on the chip, of how many.
std::string coverage_table(const Certificate& c) {
  struct Cell {
    int native = 0, host = 0, failed = 0, all = 0;
  };
  std::map<std::string, std::map<std::string, Cell>> ops;
  std::set<std::string> types;
  for (const CaseResult& result : c.cases) {
    if (!result.done || result.op.empty()) continue;
    Cell& cell = ops[result.op][result.dtype];
    types.insert(result.dtype);
    ++cell.all;
    if (is_failure(result.outcome.verdict)) ++cell.failed;
    else if (result.outcome.verdict == Verdict::kPass && result.outcome.detail.starts_with("on the host")) ++cell.host;
    else if (result.outcome.verdict == Verdict::kPass) ++cell.native;
  }
  std::string out = "<table><tr><th>op";
  for (const std::string& type : types) append(out, cat("<th>", type));
  for (auto& [op, row] : ops) {
    append(out, cat("</tr><tr><td>", op));
    for (const std::string& type : types) {
      const auto found = row.find(type);
      if (found == row.end()) {
        out += "<td>";
        continue;
      }
      const Cell& cell = found->second;
      append(out, cat("<td class='",
                      cell.failed > 0           ? "bad"
                      : cell.native == cell.all ? "good"
                                                : "some",
                      "'>", cell.native, "/", cell.all, cell.host > 0 ? " host" : ""));
    }
  }
  return out + "</tr></table>";
}

using Json = nlohmann::json;

// The figures of a part by the name of the case; an empty object where it was not run or did not pass.
Json figures_of(const Certificate& c, Part part) {
  Json out = Json::object();
  for (const CaseResult& result : c.cases) {
    Json figure = Json::parse(result.outcome.detail, nullptr, false);
    if (result.part == part && result.done && figure.is_object()) out[result.name] = std::move(figure);
  }
  return out;
}

std::string shown(double value, const char* format) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string models_table(const Certificate& c) {
  std::string out =
      "<table><tr><th>model<th>loss, first step<th>loss, last step<th>off the CPU's by<th>allowed<th>on the chip, of "
      "the "
      "time of a step</tr>";
  const Json models = figures_of(c, Part::kModels);
  for (const auto& [model, figure] : models.items()) {
    append(out, cat("<tr><td>", escaped(model)));
    for (const char* column : {"first_loss", "last_loss", "off_by", "band"}) {
      append(out, cat("<td>", shown(figure.value(column, 0.0), "%.4g")));
    }
    append(out, cat("<td>", shown(100 * figure.value("share_on_chip", 0.0), "%.1f %%"), "</tr>"));
  }
  out += "</table>";
  for (const CaseResult& result : c.cases) {
    if (result.part != Part::kModels || !result.done || result.outcome.verdict != Verdict::kUnsupported) continue;
    append(out, cat("<p>", escaped(result.name), ": unsupported, ", escaped(result.outcome.detail), ".</p>"));
  }
  return out;
}

std::string gains_table(const Certificate& c) {
  const auto gains = gain_list(c);
  if (gains.empty()) return "<p>No missing kernel would change the time of these models.</p>";
  std::string out = "<table><tr><th>kernel<th>saves in a step of every model, us<th>speed-up of them all</tr>";
  for (const runtime::Gain& gain : gains) {
    append(out, cat("<tr><td>", escaped(gain.op), "<td>", shown(gain.saved_ns * 1e-3, "%.1f"), "<td>",
                    shown(gain.speedup, "%.3f"), "</tr>"));
  }
  return out + "</table>";
}

std::string speed_table(const Certificate& c) {
  const Json figures = figures_of(c, Part::kSpeed);
  std::string out;
  if (figures.contains("launch latency")) {
    append(out,
           cat("<p>A launch takes ", shown(figures["launch latency"]["ns"].get<double>() * 1e-3, "%.2f"), " us.</p>"));
  }
  if (figures.contains("roofline")) {
    out += "<table><tr><th>op<th>time, us<th>share of the roofline</tr>";
    for (const auto& [op, row] : figures["roofline"].items()) {
      append(out, cat("<tr><td>", escaped(op), "<td>", shown(row["ns"].get<double>() * 1e-3, "%.1f"), "<td>",
                      shown(100 * row["roofline_share"].get<double>(), "%.1f %%"), "</tr>"));
    }
    out += "</table>";
  }
  if (figures.contains("copy curve")) {
    std::map<int64_t, double> curve;  // by size, which the names are not sorted by
    for (const auto& [bytes, ns] : figures["copy curve"]["ns_by_bytes"].items()) curve[std::stoll(bytes)] = ns;
    out += "<table><tr><th>copy to the chip, bytes<th>time, us<th>GB/s</tr>";
    for (const auto& [bytes, ns] : curve) {
      append(out, cat("<tr><td>", bytes, "<td>", shown(ns * 1e-3, "%.1f"), "<td>",
                      ns > 0 ? shown(static_cast<double>(bytes) / ns, "%.3g") : "", "</tr>"));
    }
    out += "</table>";
  }
  return out.empty() ? "<p>Not measured.</p>" : out;
}

std::string failures(const Certificate& c) {
  std::string out;
  for (const CaseResult& result : c.cases) {
    if (!result.done || !is_failure(result.outcome.verdict)) continue;
    append(out, cat("<h3>", name(result.outcome.verdict), ": ", name(result.part), " ", escaped(result.name),
                    "</h3><pre>", escaped(result.outcome.detail), "</pre>"));
  }
  return out.empty() ? "<p>None.</p>" : out;
}

}  // namespace

std::string page_html(const Certificate& c) {
  return cat(
      "<!doctype html><html lang='en'><meta charset='utf-8'><title>", escaped(c.chip),
      ": certificate</title><style>body{font:15px/1.5 sans-serif;max-width:70rem;margin:2rem auto;padding:0 "
      "1rem;color:#222}"
      "table{border-collapse:collapse;font-size:13px}td,th{border:1px solid #ddd;padding:.15rem .5rem;text-align:left}"
      ".good{background:#e4f3e4}.some{background:#f6f3df}.bad{background:#f6d8d3}"
      "pre{background:#f6f6f4;padding:.7rem;overflow-x:auto;font-size:12px}</style><h1>",
      escaped(c.chip), c.certified() ? " is certified" : " is not certified", ": ", name(c.reached), "</h1><p>",
      escaped(cat(c.vendor, ", ", c.device, ", version ", c.version, ", build ", c.build_id, ". Asked for ",
                  name(c.asked), ", seed ", c.seed, ", ", static_cast<int64_t>(c.seconds), " s. ",
                  c.why_not_more.empty() ? std::string() : cat("Not more because: ", c.why_not_more, "."))),
      "</p>", parts_table(c), "<h2>Failures</h2>", failures(c),
      "<h2>Models</h2><p>Trained, "
      "saved, loaded and exported on the chip, beside the CPU.</p>",
      models_table(c), "<h2>Which kernel would pay most</h2>", gains_table(c),
      "<h2>Speed</h2><p>The roofline is that of props: the longer of arithmetic at its peak and operands at the "
      "bandwidth of "
      "memory. Operands that stay in a cache may be faster.</p>",
      speed_table(c),
      "<h2>Ops</h2><p>Cases that the chip computes, of those declared, by the type of the first input; what it refuses "
      "is "
      "computed by parts or on the CPU.</p>",
      coverage_table(c), "</html>\n");
}

}  // namespace trireme::certify
