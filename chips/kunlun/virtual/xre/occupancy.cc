#include "chips/kunlun/virtual/xre/occupancy.h"

#include <algorithm>
#include <limits>

namespace trireme::xpu {
namespace {

// How fast work that asks for `share` goes beside what is used, 0 to 1.
double pace(const Share& used, const Share& share) {
  constexpr double kNone = 1e-6;  // rounding errors are no free capacity
  double rate = 1;
  const auto limit = [&](double taken, double wanted) {
    if (wanted > 0) rate = std::min(rate, std::max(0.0, 1 - taken) / wanted);
  };
  limit(used.clusters, share.clusters);
  limit(used.sdnn, share.sdnn);
  limit(used.memory, share.memory);
  return rate < kNone ? 0 : rate;
}

}  // namespace

double Occupancy::place(double begin_ns, double ns, const Share& share) {
  if (ns <= 0) return begin_ns;
  // Makes a boundary at a time; returns what is used from there on.
  const auto boundary = [&](double at) {
    const auto next = used_.upper_bound(at);
    const Share before = next == used_.begin() ? Share{} : std::prev(next)->second;
    return used_.try_emplace(at, before).first;
  };
  double at = begin_ns;
  auto segment = boundary(at);
  while (true) {
    const auto next = std::next(segment);
    const double end = next == used_.end() ? std::numeric_limits<double>::infinity() : next->first;
    const double rate = pace(segment->second, share);
    const bool last = rate > 0 && at + ns / rate <= end;
    const double until = last ? at + ns / rate : end;
    if (last) boundary(until);
    segment->second.clusters += rate * share.clusters;
    segment->second.sdnn += rate * share.sdnn;
    segment->second.memory += rate * share.memory;
    at = until;
    if (last) break;
    ns -= rate * (until - segment->first);
    segment = next;
  }
  while (used_.size() > kBoundaries) used_.erase(used_.begin());
  return at;
}

}  // namespace trireme::xpu
