#include "chips/kunlun/kernel.h"

#include <algorithm>

namespace trireme::kunlun {
namespace {

// A copy between two layouts of the same dims.
Step strided(const char* name, const TrmValue& from, uint32_t from_slot, int64_t first, const TrmValue& to,
             uint32_t to_slot) {
  const api::Shape shape = shape_of(from), read(from.strides, from.strides + from.rank),
                   write(to.strides, to.strides + to.rank);
  return by_size(from.dtype, [&]<class T>(T) {
    return Step{name, [=](const Run& run) {
                  return api::strided_copy<T>(run.context, run.at<T>(from_slot) + first, run.at<T>(to_slot), shape,
                                              shape, read, write);
                }};
  });
}

}  // namespace

Builder::Builder(const Program& program, const NodeView& node, const Card& card)
    : program_(program), node_(node), card_(card) {}

TrmValue Builder::view(uint32_t value) const {
  const TrmValue v = program_.value(value);
  return v.known ? dense_value(v.dtype, shape_of(v)) : v;  // constants are packed when they are uploaded
}

uint32_t Builder::dense(uint32_t index) {
  if (!has(index)) return TRM_ABSENT;
  const uint32_t number = node_.inputs()[index];
  for (const auto& [value, slot] : made_dense_) {
    if (value == number) return slot;
  }
  const uint32_t slot = dense(number, input(index));
  made_dense_.emplace_back(number, slot);
  return slot;
}

uint32_t Builder::dense(uint32_t slot, const TrmValue& view, int64_t first) {
  if (chip::is_dense(view) && first == 0) return slot;
  const uint32_t copy = temporary(bytes_of(view));
  Step made = strided("strided_copy", view, slot, first, dense_value(view.dtype, shape_of(view)), copy);
  step(made.name, 2.0 * static_cast<double>(bytes_of(view)), std::move(made.call));
  return copy;
}

uint32_t Builder::result_of(uint32_t value) {
  const TrmValue v = program_.value(value);
  if (chip::is_dense(v)) return value;
  const uint32_t slot = temporary(bytes_of(v));
  copies_out_.push_back(strided("strided_copy", dense_value(v.dtype, shape_of(v)), slot, 0, v, value));
  kernel_.ns += 2e9 * static_cast<double>(bytes_of(v)) / card_.memory_bandwidth;
  return slot;
}

uint32_t Builder::temporary(size_t bytes) {
  kernel_.temporaries.push_back(std::max<size_t>(bytes, 1));
  return program_.value_count() + static_cast<uint32_t>(kernel_.temporaries.size()) - 1;
}

uint32_t Builder::table(std::span<const std::byte> bytes) {
  kernel_.tables.emplace_back(bytes.begin(), bytes.end());
  return static_cast<uint32_t>(kernel_.tables.size()) - 1;
}

void Builder::step(const char* name, double bytes, std::function<int(const Run&)> call) {
  kernel_.steps.push_back({name, std::move(call)});
  // Data streams while the launch is prepared: only what takes longer counts.
  kernel_.ns += std::max(0.0, 1e9 * bytes / card_.memory_bandwidth - kLaunchNs);
}

void Builder::own_step(const char* name, const Grid& grid, double cycles, double bytes,
                       std::function<int(const Run&)> call) {
  kernel_.steps.push_back({name, std::move(call)});
  const double share = static_cast<double>(grid.clusters) / static_cast<double>(card_.clusters);
  kernel_.ns += std::max(cycles / kClockGhz, 1e9 * bytes / (card_.memory_bandwidth * share));
}

Kernel Builder::finish() && {
  for (Step& copy : copies_out_) kernel_.steps.push_back(std::move(copy));
  return std::move(kernel_);
}

}  // namespace trireme::kunlun
