// Boxes of detectors.
#include <algorithm>
#include <cmath>

#include "trireme/base/strings.h"
#include "trireme/formats/paddle/call.h"

namespace trireme::formats::paddle {

namespace {

// --- prior_box: boxes around each cell of a feature map, from the shapes alone ---

std::vector<double> aspect_ratios(Call& c) {
  std::vector<double> out = {1.0};
  for (double ratio : c.numbers("aspect_ratios")) {
    c.require(ratio > 0.0, cat("aspect ratio ", ratio));
    const bool known = std::any_of(out.begin(), out.end(), [&](double r) { return std::abs(r - ratio) < 1e-6; });
    if (known) continue;
    out.push_back(ratio);
    if (c.flag("flip")) out.push_back(1.0 / ratio);
  }
  return out;
}

// Half widths and heights of the boxes of one cell, in pixels.
std::vector<std::pair<double, double>> cell_boxes(Call& c) {
  const std::vector<double> ratios = aspect_ratios(c), least = c.numbers("min_sizes"), most = c.numbers("max_sizes");
  c.require(!least.empty() && (most.empty() || most.size() == least.size()), "min_sizes and max_sizes do not fit");
  const bool largest_second = c.flag("min_max_aspect_ratios_order");
  std::vector<std::pair<double, double>> out;
  for (size_t s = 0; s < least.size(); ++s) {
    const auto by_ratio = [&](double ratio) {
      out.emplace_back(least[s] * std::sqrt(ratio) / 2, least[s] / std::sqrt(ratio) / 2);
    };
    const auto square = [&] {
      if (!most.empty()) out.emplace_back(std::sqrt(least[s] * most[s]) / 2, std::sqrt(least[s] * most[s]) / 2);
    };
    by_ratio(1.0);
    if (largest_second) square();
    for (size_t r = 1; r < ratios.size(); ++r) by_ratio(ratios[r]);
    if (!largest_second) square();
  }
  return out;
}

void prior_box(Call& c) {
  const Shape map = c.x("Input").shape(), image = c.x("Image").shape();
  c.require(map.rank() == 4 && image.rank() == 4, cat("Input is ", map, ", Image is ", image));
  const auto boxes = cell_boxes(c);
  const std::vector<double> variances = c.numbers("variances");
  c.require(variances.size() == 4, cat(variances.size(), " variances; they must be 4"));
  const int64_t rows = map[2], columns = map[3], each = static_cast<int64_t>(boxes.size());
  const Shape shape{rows, columns, each, 4};
  c.require(shape.elements() <= 1 << 22 && image[2] >= 1 && image[3] >= 1, cat("boxes ", shape));
  const double height = static_cast<double>(image[2]), width = static_cast<double>(image[3]);
  double step_w = c.number("step_w", 0.0), step_h = c.number("step_h", 0.0);
  if (step_w == 0.0 || step_h == 0.0) {
    step_w = width / static_cast<double>(columns);
    step_h = height / static_cast<double>(rows);
  }
  const double offset = c.number("offset", 0.5);
  const bool clip = c.flag("clip");
  std::vector<double> values, spread;
  for (int64_t y = 0; y < rows; ++y) {
    for (int64_t x = 0; x < columns; ++x) {
      const double cx = (static_cast<double>(x) + offset) * step_w, cy = (static_cast<double>(y) + offset) * step_h;
      for (const auto& [w, h] : boxes) {
        for (double edge : {(cx - w) / width, (cy - h) / height, (cx + w) / width, (cy + h) / height}) {
          values.push_back(clip ? std::clamp(edge, 0.0, 1.0) : edge);
        }
        spread.insert(spread.end(), variances.begin(), variances.end());
      }
    }
  }
  c.result("Boxes", ops::constant(Literal::from_doubles(f32, shape, values)));
  c.result("Variances", ops::constant(Literal::from_doubles(f32, shape, spread)));
}

// --- box_coder ---

Value column(const Value& boxes, int64_t k) {
  const int last = boxes.shape().rank() - 1;
  return ops::reshape(ops::slice_axis(boxes, last, k, k + 1), boxes.shape().without(last).vector());
}
Value columns_joined(const std::vector<Value>& columns) { return ops::stack(columns, columns[0].shape().rank()); }

struct Centred {
  Value x, y, width, height;
};
Centred centred(const Value& boxes, double beyond) {
  const Value width = column(boxes, 2) - column(boxes, 0) + beyond,
              height = column(boxes, 3) - column(boxes, 1) + beyond;
  return {column(boxes, 0) + width * 0.5, column(boxes, 1) + height * 0.5, width, height};
}

// Targets [n, 4] against priors [m, 4] coded, or targets [n, m, 4] decoded; both give [n, m, 4].
void box_coder(Call& c) {
  const Value priors = c.x("PriorBox"), targets = c.x("TargetBox");
  c.require(priors.shape().rank() == 2 && priors.shape()[1] == 4, cat("PriorBox is ", priors.shape()));
  const double beyond = c.flag("box_normalized", true) ? 0.0 : 1.0;
  const std::string code = c.string("code_type", "encode_center_size");
  const bool decode = code == "decode_center_size";
  c.require(decode || code == "encode_center_size", cat("code_type '", code, "'"));
  const int64_t axis = c.integer("axis", 0);
  c.require(axis == 0 || axis == 1, cat("axis ", axis, " must be 0 or 1"));
  c.require(targets.shape().rank() == (decode ? 3 : 2) && targets.shape()[targets.shape().rank() - 1] == 4,
            cat("TargetBox is ", targets.shape()));
  const Shape grid =
      decode ? Shape{targets.shape()[0], targets.shape()[1]} : Shape{targets.shape()[0], priors.shape()[0]};
  const int prior_axis = decode && axis == 1 ? 0 : 1;
  const auto of_prior = [&](const Value& v) { return broadcast(ops::along_axis(v, prior_axis, 2), grid); };
  // Four variances for all, four per prior, or none.
  const std::vector<double> fixed = c.numbers("variance");
  c.require(fixed.empty() || fixed.size() == 4, cat(fixed.size(), " variances; they must be 4"));
  const auto variance = [&](int64_t k, const Value& v) {
    if (c.has("PriorBoxVar")) return of_prior(column(c.x("PriorBoxVar"), k));
    return ops::filled_like(v, fixed.empty() ? 1.0 : fixed[static_cast<size_t>(k)]);
  };
  const Centred p = centred(priors, beyond);
  const Value px = of_prior(p.x), py = of_prior(p.y), pw = of_prior(p.width), ph = of_prior(p.height);
  if (!decode) {
    const Centred t = centred(targets, beyond);
    const auto of_target = [&](const Value& v) { return broadcast(ops::along_axis(v, 0, 2), grid); };
    const Value parts[] = {(of_target(t.x) - px) / pw, (of_target(t.y) - py) / ph,
                           ops::log(ops::abs(of_target(t.width) / pw)), ops::log(ops::abs(of_target(t.height) / ph))};
    std::vector<Value> out;
    for (int64_t k = 0; k < 4; ++k) out.push_back(parts[k] / variance(k, parts[k]));
    c.result("OutputBox", columns_joined(out));
    return;
  }
  const auto scaled = [&](int64_t k) {
    const Value t = column(targets, k);
    return t * variance(k, t);
  };
  const Value x = scaled(0) * pw + px, y = scaled(1) * ph + py;
  const Value w = ops::exp(scaled(2)) * pw * 0.5, h = ops::exp(scaled(3)) * ph * 0.5;
  c.result("OutputBox", columns_joined({x - w, y - h, x + w - beyond, y + h - beyond}));
}

// --- yolo_box ---

// X [n, anchors (5 + classes), h, w] becomes boxes [n, anchors h w, 4] in pixels and scores [n, anchors h w, classes].
void yolo_box(Call& c) {
  const Value x = c.x("X"), sizes = ops::as_type(c.x("ImgSize"), x.dtype());
  const Ints anchors = c.integers("anchors");
  const int64_t classes = c.integer("class_num", 1), count = static_cast<int64_t>(anchors.size()) / 2;
  const Shape& s = x.shape();
  if (c.flag("iou_aware")) c.unsupported("iou_aware");
  c.require(anchors.size() % 2 == 0 && count >= 1 && classes >= 1, cat("anchors ", anchors, ", class_num ", classes));
  c.require(s.rank() == 4 && s[1] == bounded(Wide{count} * (5 + Wide{classes})) && s[2] >= 1 && s[3] >= 1,
            cat("X is ", s, " for ", count, " anchors and ", classes, " classes"));
  c.require(sizes.shape() == Shape({s[0], 2}), cat("ImgSize is ", sizes.shape()));
  const int64_t n = s[0], rows = s[2], columns = s[3], places = bounded(Wide{count} * rows * columns);
  const double down = static_cast<double>(c.integer("downsample_ratio", 32)), factor = c.number("scale_x_y", 1.0);
  const double shift = -0.5 * (factor - 1.0), threshold = c.number("conf_thresh", 0.01);
  const Value cells = ops::reshape(x, {n, count, 5 + classes, rows, columns});
  const Ints grid = {n, count, rows, columns};
  const auto entry = [&](int64_t k) { return ops::reshape(ops::slice_axis(cells, 2, k, k + 1), grid); };
  const auto image = [&](int64_t k) {  // height, width
    return broadcast(ops::along_axis(ops::slice_axis(sizes, 1, k, k + 1), 0, 4), Shape(grid));
  };
  const auto anchor = [&](size_t k) {
    std::vector<double> list;
    for (size_t i = k; i < anchors.size(); i += 2) list.push_back(static_cast<double>(anchors[i]));
    return broadcast(ops::along_axis(ops::float_vector(x.dtype(), list), 1, 4), Shape(grid));
  };
  const auto centre = [&](int64_t k, int64_t axis, double size) {
    return (ops::iota(grid, x.dtype(), axis) + (ops::logistic(entry(k)) * factor + shift)) * (1.0 / size);
  };
  const Value height = image(0), width = image(1);
  const Value cx = centre(0, 3, static_cast<double>(columns)) * width,
              cy = centre(1, 2, static_cast<double>(rows)) * height;
  const Value half_w = ops::exp(entry(2)) * anchor(0) * width * (0.5 / (down * static_cast<double>(columns)));
  const Value half_h = ops::exp(entry(3)) * anchor(1) * height * (0.5 / (down * static_cast<double>(rows)));
  const Value confidence = ops::logistic(entry(4));
  const Value kept = ops::compare(confidence, threshold, "ge");
  const bool clip = c.flag("clip_bbox", true);
  const auto low = [&](const Value& v) { return clip ? ops::max(v, 0.0) : v; };
  const auto high = [&](const Value& v, const Value& size) { return clip ? ops::min(v, size - 1.0) : v; };
  const Value boxes =
      columns_joined({low(cx - half_w), low(cy - half_h), high(cx + half_w, width), high(cy + half_h, height)});
  c.result("Boxes", ops::reshape(ops::select(broadcast(ops::reshape(kept, {n, count, rows, columns, 1}), boxes.shape()),
                                             boxes, 0.0),
                                 {n, places, 4}));
  const Value chances = ops::logistic(ops::slice_axis(cells, 2, 5, 5 + classes));  // [n, count, classes, rows, columns]
  const auto per_class = [&](const Value& v) {
    return broadcast(ops::reshape(v, {n, count, 1, rows, columns}), chances.shape());
  };
  const Value scores = ops::select(per_class(kept), chances * per_class(confidence), 0.0);
  c.result("Scores", ops::reshape(ops::transpose(scores, {0, 1, 3, 4, 2}), {n, places, classes}));
}

// Overlap of each of X [n, 4] with each of Y [m, 4].
void iou_similarity(Call& c) {
  const Value a = c.x("X"), b = c.x("Y");
  c.require(a.shape().rank() == 2 && b.shape().rank() == 2 && a.shape()[1] == 4 && b.shape()[1] == 4,
            cat("X is ", a.shape(), ", Y is ", b.shape()));
  const Shape grid{a.shape()[0], b.shape()[0]};
  const double beyond = c.flag("box_normalized", true) ? 0.0 : 1.0;
  const auto of_a = [&](int64_t k) { return broadcast(ops::along_axis(column(a, k), 0, 2), grid); };
  const auto of_b = [&](int64_t k) { return broadcast(ops::along_axis(column(b, k), 1, 2), grid); };
  const auto shared = [&](int64_t k) {
    return ops::max(ops::min(of_a(k + 2), of_b(k + 2)) - ops::max(of_a(k), of_b(k)) + beyond, 0.0);
  };
  const Value both = shared(0) * shared(1);
  const Value area_a = (of_a(2) - of_a(0) + beyond) * (of_a(3) - of_a(1) + beyond);
  const Value area_b = (of_b(2) - of_b(0) + beyond) * (of_b(3) - of_b(1) + beyond);
  c.result(both / (area_a + area_b - both));
}

}  // namespace

std::span<const Mapping> detection_mappings() {
  static constexpr Mapping table[] = {
      {"box_coder", box_coder},
      {"iou_similarity", iou_similarity},
      {"prior_box", prior_box},
      {"yolo_box", yolo_box},
  };
  return table;
}

}  // namespace trireme::formats::paddle
