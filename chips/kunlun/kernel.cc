#include "chips/kunlun/kernel.h"

#include <algorithm>
#include <cstring>

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

std::vector<std::byte> packed(const TrmValue& v) {
  const size_t item = chip::size_of(v.dtype);
  std::vector<std::byte> bytes(bytes_of(v));
  int64_t index[TRM_MAX_RANK] = {}, at = 0;
  const auto* from = static_cast<const std::byte*>(v.constant_data);
  for (size_t to = 0; to < bytes.size(); to += item) {
    std::memcpy(bytes.data() + to, from + at * static_cast<int64_t>(item), item);
    for (uint32_t axis = v.rank; axis-- > 0;) {
      at += v.strides[axis];
      if (++index[axis] < v.dims[axis]) break;
      at -= v.strides[axis] * v.dims[axis];
      index[axis] = 0;
    }
  }
  return bytes;
}

Builder::Builder(const Program& program, const NodeView& node, const Card& card, const Tail& tail)
    : program_(program), node_(node), card_(card), tail_(tail) {}

TrmValue Builder::view(uint32_t value) const {
  const TrmValue v = program_.value(value);
  return v.known ? dense_value(v.dtype, shape_of(v)) : v;  // constants are packed when they are uploaded
}

uint32_t Builder::dense(uint32_t index) { return has(index) ? dense_value_of(node_.inputs()[index]) : TRM_ABSENT; }

uint32_t Builder::dense_value_of(uint32_t number) {
  for (const auto& [value, slot] : made_dense_) {
    if (value == number) return slot;
  }
  const uint32_t slot = dense(number, view(number));
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

uint32_t Builder::result_in_order(uint32_t index, std::span<const uint8_t> order) {
  const uint32_t number = node_.outputs()[index];
  const TrmValue v = program_.value(number);
  TrmValue turned = v;
  for (uint32_t a = 0; a < v.rank; ++a) {
    turned.dims[a] = v.dims[order[a]];
    turned.strides[a] = v.strides[order[a]];
  }
  if (!chip::is_dense(turned)) {
    TrmConversion wanted{program_.input_count() + index, v.dtype, {}};
    std::copy(order.begin(), order.end(), wanted.order);
    kernel_.conversions.push_back(wanted);
  }
  return number;
}

void Builder::offer_in_place(uint32_t output, uint32_t input) {
  const uint32_t from = node_.inputs()[input], to = node_.outputs()[output];
  if (!chip::is_dense(program_.value(from)) || !chip::is_dense(program_.value(to))) return;
  for (uint32_t k = 0; k < program_.output_count(); ++k) {
    for (uint32_t i = 0; i < program_.input_count(); ++i) {
      if (program_.output(k) == to && program_.input(i) == from) {
        kernel_.in_place.emplace_back(k, static_cast<int32_t>(i));
      }
    }
  }
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

void Builder::product_step(const char* name, double operations, double weight_bytes, double bytes,
                           std::function<int(const Run&)> call) {
  product_at(card_.products_per_second, name, operations, weight_bytes, bytes, std::move(call));
}

void Builder::integer_product_step(const char* name, double operations, double weight_bytes, double bytes,
                                   std::function<int(const Run&)> call) {
  product_at(card_.byte_products_per_second, name, operations, weight_bytes, bytes, std::move(call));
}

// The formula of the operator library (xpu/xdnn.h).
void Builder::product_at(double per_second, const char* name, double operations, double weight_bytes, double bytes,
                         std::function<int(const Run&)> call) {
  step(name, bytes, std::move(call));
  const double peak_ns = 1e9 * operations / per_second;
  kernel_.ns += kWeightFactor * 1e9 * weight_bytes / card_.memory_bandwidth +
                std::max(kOperationFactor * peak_ns, peak_ns - kLaunchNs);
}

Kernel Builder::finish() && {
  want(tail_.result == TRM_ABSENT || tail_taken_, TRM_REASON_REGION, "nothing can follow this op in its launch");
  for (Step& copy : copies_out_) kernel_.steps.push_back(std::move(copy));
  return std::move(kernel_);
}

}  // namespace trireme::kunlun
