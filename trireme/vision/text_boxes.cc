#include "trireme/vision/text_boxes.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::vision {

namespace {

double cross(const Point& origin, const Point& a, const Point& b) {
  return (a.x - origin.x) * (b.y - origin.y) - (a.y - origin.y) * (b.x - origin.x);
}
double distance(const Point& a, const Point& b) { return std::hypot(a.x - b.x, a.y - b.y); }

// Convex hull by Andrew's monotone chain; points on its edges are left out.
std::vector<Point> hull_of(std::vector<Point> points) {
  std::sort(points.begin(), points.end(),
            [](const Point& a, const Point& b) { return a.x < b.x || (a.x == b.x && a.y < b.y); });
  points.erase(std::unique(points.begin(), points.end(),
                           [](const Point& a, const Point& b) { return a.x == b.x && a.y == b.y; }),
               points.end());
  if (points.size() < 3) return points;
  std::vector<Point> hull;
  const auto half = [&](auto begin, auto end) {
    const size_t base = hull.size();
    for (auto at = begin; at != end; ++at) {
      while (hull.size() >= base + 2 && cross(hull[hull.size() - 2], hull.back(), *at) <= 0) hull.pop_back();
      hull.push_back(*at);
    }
    hull.pop_back();  // it begins the other half
  };
  half(points.begin(), points.end());
  half(points.rbegin(), points.rend());
  return hull;
}

// Clockwise as a picture shows it, from the top left corner on.
Corners ordered(Corners c) {
  if (cross(c[0], c[1], c[2]) < 0) std::swap(c[1], c[3]);
  const auto first =
      std::min_element(c.begin(), c.end(), [](const Point& a, const Point& b) { return a.x + a.y < b.x + b.y; });
  std::rotate(c.begin(), first, c.end());
  return c;
}

// Moves every side outwards by `by`.
Corners grown(const Corners& c, double by) {
  const double width = distance(c[0], c[1]), height = distance(c[1], c[2]);
  const Point across = {(c[1].x - c[0].x) / width * by, (c[1].y - c[0].y) / width * by};
  const Point down = {(c[2].x - c[1].x) / height * by, (c[2].y - c[1].y) / height * by};
  return {{{c[0].x - across.x - down.x, c[0].y - across.y - down.y},
           {c[1].x + across.x - down.x, c[1].y + across.y - down.y},
           {c[2].x + across.x + down.x, c[2].y + across.y + down.y},
           {c[3].x - across.x + down.x, c[3].y - across.y + down.y}}};
}

class Finder {
 public:
  Finder(const Literal& map, const TextBoxOptions& options)
      : height_(map.shape()[0]), width_(map.shape()[1]), values_(map.to_doubles()), options_(options) {
    seen_.resize(values_.size());
  }

  std::vector<TextBox> find() {
    std::vector<TextBox> out;
    for (int64_t y = 0; y < height_; ++y) {
      for (int64_t x = 0; x < width_; ++x) {
        if (!inside(x, y) || seen_[place(x, y)]) continue;
        const Corners corners = smallest_rectangle(outline(x, y));
        const double across = distance(corners[0], corners[1]), down = distance(corners[1], corners[2]);
        if (std::min(across, down) < options_.least_side) continue;
        const double score = mean_within(corners);
        if (score < options_.least_score) continue;
        out.push_back({ordered(grown(corners, options_.unclip * across * down / (2 * (across + down)))), score});
      }
    }
    return out;
  }

 private:
  size_t place(int64_t x, int64_t y) const { return static_cast<size_t>(y * width_ + x); }
  bool inside(int64_t x, int64_t y) const {
    return x >= 0 && y >= 0 && x < width_ && y < height_ && values_[place(x, y)] > options_.threshold;
  }

  // The ends of each run of the region around (x, y), which hold its hull; marks the region as seen.
  std::vector<Point> outline(int64_t x, int64_t y) {
    std::vector<Point> points;
    std::vector<std::pair<int64_t, int64_t>> open = {{x, y}};
    seen_[place(x, y)] = true;
    while (!open.empty()) {
      const auto [px, py] = open.back();
      open.pop_back();
      if (!inside(px - 1, py) || !inside(px + 1, py))
        points.push_back({static_cast<double>(px), static_cast<double>(py)});
      for (int64_t ny = py - 1; ny <= py + 1; ++ny) {
        for (int64_t nx = px - 1; nx <= px + 1; ++nx) {
          if (!inside(nx, ny) || seen_[place(nx, ny)]) continue;
          seen_[place(nx, ny)] = true;
          open.emplace_back(nx, ny);
        }
      }
    }
    return points;
  }

  double mean_within(const Corners& c) const {
    double low_x = c[0].x, high_x = c[0].x, low_y = c[0].y, high_y = c[0].y;
    for (const Point& p : c) {
      low_x = std::min(low_x, p.x), high_x = std::max(high_x, p.x);
      low_y = std::min(low_y, p.y), high_y = std::max(high_y, p.y);
    }
    const auto clamped = [](double v, int64_t size) {
      return std::clamp<int64_t>(static_cast<int64_t>(v), 0, size - 1);
    };
    const Corners around = ordered(c);
    double sum = 0.0;
    int64_t count = 0;
    for (int64_t y = clamped(std::floor(low_y), height_); y <= clamped(std::ceil(high_y), height_); ++y) {
      for (int64_t x = clamped(std::floor(low_x), width_); x <= clamped(std::ceil(high_x), width_); ++x) {
        const Point p = {static_cast<double>(x), static_cast<double>(y)};
        bool within = true;
        for (size_t k = 0; k < 4; ++k) within &= cross(around[k], around[(k + 1) % 4], p) >= -1e-6;
        if (!within) continue;
        sum += values_[place(x, y)];
        ++count;
      }
    }
    return count == 0 ? 0.0 : sum / static_cast<double>(count);
  }

  int64_t height_, width_;
  std::vector<double> values_;
  TextBoxOptions options_;
  std::vector<bool> seen_;
};

}  // namespace

Corners smallest_rectangle(std::span<const Point> points) {
  if (points.empty()) throw Error(Code::kInvalidArgument, "a rectangle around no point");
  const std::vector<Point> hull = hull_of({points.begin(), points.end()});
  if (hull.size() == 1) return {hull[0], hull[0], hull[0], hull[0]};
  // One side of the smallest rectangle lies on an edge of the hull.
  double best = std::numeric_limits<double>::infinity();
  Corners out{};
  for (size_t k = 0; k < hull.size(); ++k) {
    const Point &from = hull[k], &to = hull[(k + 1) % hull.size()];
    const double length = distance(from, to), ux = (to.x - from.x) / length, uy = (to.y - from.y) / length;
    double low_u = 0, high_u = 0, low_v = 0, high_v = 0;  // along the edge, and across it
    for (const Point& p : hull) {
      const double u = (p.x - from.x) * ux + (p.y - from.y) * uy, v = (p.y - from.y) * ux - (p.x - from.x) * uy;
      low_u = std::min(low_u, u), high_u = std::max(high_u, u);
      low_v = std::min(low_v, v), high_v = std::max(high_v, v);
    }
    const double area = (high_u - low_u) * (high_v - low_v);
    if (area >= best) continue;
    best = area;
    const auto corner = [&](double u, double v) { return Point{from.x + u * ux - v * uy, from.y + u * uy + v * ux}; };
    out = {corner(low_u, low_v), corner(high_u, low_v), corner(high_u, high_v), corner(low_u, high_v)};
  }
  return ordered(out);
}

std::vector<TextBox> find_text_boxes(const Literal& map, const TextBoxOptions& options) {
  if (!is_float(map.dtype()) || map.shape().rank() != 2) {
    throw Error(Code::kInvalidArgument, cat("a map of text is floating [H, W]; given ", map.dtype(), map.shape()));
  }
  if (!(options.least_side > 0)) throw Error(Code::kInvalidArgument, "least_side is above 0");
  return Finder(map, options).find();
}

}  // namespace trireme::vision
