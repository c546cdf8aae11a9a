// trireme report: a page about one training run: the loss curve, the exported model run on another chip and compared,
// that chip's ledger and its gain list.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/checkpoint/export.h"
#include "trireme/core/philox.h"
#include "trireme/runtime/explain.h"
#include "trireme/runtime/trace.h"
#include "trireme/tensor/tensor.h"

namespace trireme::cli {

namespace {

struct Options {
  DeviceOptions device;
  std::string run, against = "cpu";
};

struct Curve {
  std::vector<std::pair<double, double>> training, validation;  // (step, loss)
  double accuracy = 0.0, seconds = 0.0;
  int64_t steps = 0;
};

Curve read_log(const std::string& path) {
  Curve curve;
  for (const std::string& line : split(read_file(path), '\n')) {
    const auto row = nlohmann::json::parse(line, nullptr, false);
    if (!row.is_object() || !row.contains("step")) continue;
    const double step = row["step"];
    curve.steps = std::max(curve.steps, static_cast<int64_t>(step));
    if (row.contains("loss")) curve.training.emplace_back(step, row["loss"].get<double>());
    if (row.contains("seconds")) curve.seconds = row["seconds"];
    if (row.contains("validation_loss")) {
      curve.validation.emplace_back(step, row["validation_loss"].get<double>());
      curve.accuracy = row.value("validation_accuracy", 0.0);
    }
  }
  return curve;
}

// The curve as an SVG picture of 720 x 300.
std::string picture(const Curve& curve) {
  double low = 0.0, high = 1e-9, last = 1.0;
  for (const auto* points : {&curve.training, &curve.validation}) {
    for (const auto& [step, loss] : *points) {
      if (std::isfinite(loss)) high = std::max(high, loss);
      last = std::max(last, step);
    }
  }
  const auto x = [&](double step) { return 60.0 + 640.0 * step / last; };
  const auto y = [&](double loss) { return 270.0 - 250.0 * (loss - low) / (high - low); };
  std::string svg = "<svg viewBox='0 0 720 300' width='720' role='img' aria-label='loss curve'>";
  for (int k = 0; k <= 4; ++k) {
    const double loss = high * k / 4.0;
    char label[160];
    std::snprintf(label, sizeof label,
                  "<line x1='60' x2='700' y1='%.1f' y2='%.1f' stroke='#ddd'/><text x='52' y='%.1f' text-anchor='end' "
                  "font-size='11'>%.2f</text>",
                  y(loss), y(loss), y(loss) + 4, loss);
    svg += label;
  }
  const auto line = [&](const std::vector<std::pair<double, double>>& points, const char* color) {
    svg += cat("<polyline fill='none' stroke-width='1.6' stroke='", color, "' points='");
    for (const auto& [step, loss] : points) {
      char point[64];
      std::snprintf(point, sizeof point, "%.1f,%.1f ", x(step), y(std::min(loss, high)));
      if (std::isfinite(loss)) svg += point;
    }
    svg += "'/>";
  };
  line(curve.training, "#4878a8");
  line(curve.validation, "#c4572e");
  return svg +
         cat("<text x='60' y='292' font-size='11'>0</text><text x='700' y='292' text-anchor='end' font-size='11'>",
             static_cast<int64_t>(last),
             " steps</text><text x='690' y='24' text-anchor='end' font-size='12' "
             "fill='#4878a8'>training loss</text><text x='690' y='40' text-anchor='end' font-size='12' "
             "fill='#c4572e'>validation loss</text></svg>");
}

std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '&') out += "&amp;";
    else out += c;
  }
  return out;
}

std::vector<Literal> outputs_on(const std::string& device, const Graph& graph) {
  set_device(device);
  std::vector<Tensor> inputs;
  uint32_t stream = 0;
  for (const Value& v : graph.inputs()) {
    std::vector<double> values(static_cast<size_t>(v.shape().elements()));
    for (size_t i = 0; i < values.size(); ++i) {
      const uint32_t word = philox_word({7, 0, stream, 0}, i);
      values[i] = is_float(v.dtype()) ? word * 0x1p-31 - 1.0 : word % 256;
    }
    ++stream;
    inputs.emplace_back(Literal::from_doubles(v.dtype(), v.shape(), values));
  }
  std::vector<Literal> out;
  for (const Tensor& t : run(graph, inputs)) out.push_back(t.literal());
  return out;
}

void write_report(const Options& options) {
  const Curve curve = read_log(options.run + "/log.jsonl");
  const Graph graph = checkpoint::import_model(options.run + "/model");
  const auto expected = outputs_on(options.against, graph);
  options.device.apply();
  const auto got = outputs_on(options.device.chip, graph);
  double largest = 0.0, scale = 0.0;
  for (size_t k = 0; k < expected.size(); ++k) {
    for (int64_t i = 0; i < expected[k].elements(); ++i) {
      largest = std::max(largest, std::fabs(expected[k].at(i) - got[k].at(i)));
      scale = std::max(scale, std::fabs(expected[k].at(i)));
    }
  }
  const bool agree = largest <= 1e-4 * std::max(scale, 1.0);
  runtime::PlanOptions plan;
  plan.target = &runtime::Device::get(options.device.chip);
  plan.fallback = Fallback::kAllow;
  const auto explanation = runtime::explain(graph, plan);
  const std::string path = options.run + "/report.html";
  char facts[512];
  std::snprintf(facts, sizeof facts,
                "%lld steps in %.1f s; validation accuracy %.2f%%. The exported model on %s and %s: "
                "largest difference %.2g, they %s.",
                static_cast<long long>(curve.steps), curve.seconds, 100 * curve.accuracy, options.against.c_str(),
                plan.target->name().c_str(), largest, agree ? "agree" : "DISAGREE");
  const std::string html =
      cat("<!doctype html><html lang='en'><meta charset='utf-8'><title>Trireme: training report</title>"
          "<style>body{font:15px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
          "pre{background:#f6f6f4;padding:1rem;overflow-x:auto;font-size:12px}</style><h1>Training report</h1><p>",
          escaped(facts), "</p><h2>Loss</h2>", picture(curve), "<h2>Ledger and gain list on ",
          escaped(plan.target->name()), "</h2><pre>", escaped(explanation.table()), "</pre></html>\n");
  write_file_atomically(path, html);
  std::printf("%s\n", explanation.ledger.line().c_str());
  std::printf("%s\n", nlohmann::json{{"accuracy", curve.accuracy},
                                     {"seconds", curve.seconds},
                                     {"steps", curve.steps},
                                     {"chip", plan.target->name()},
                                     {"fallback_share", explanation.ledger.fallback_share()},
                                     {"agree", agree},
                                     {"largest_difference", largest},
                                     {"report", path}}
                          .dump()
                          .c_str());
  if (!agree) throw Error(Code::kDeviceFault, cat("the chip's results differ by ", largest, "; see ", path));
}

}  // namespace

void add_report(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("report", "Write report.html about a training run, its model tried on a chip");
  command->add_option("run", options->run, "output folder of the run, with log.jsonl and model/")->required();
  command->add_option("--against", options->against, "the device to compare with")->capture_default_str();
  options->device.add_to(*command);
  command->callback([options] { write_report(*options); });
}

}  // namespace trireme::cli
