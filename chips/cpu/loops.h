// Nested loops over memory: up to 8 axes, and for each operand the distance in elements between neighbours along each
// axis. Normalising drops axes of size 1, orders the axes by the first operand's strides (largest outside) and merges
// neighbours that every operand walks through without a gap, so most dense work becomes one long loop.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "trireme/core/shape.h"

namespace trireme::cpu {

struct Loops {
  int rank = 0;
  std::array<int64_t, kMaxRank> dims{};
  std::vector<Strides> strides;  // one per operand

  int64_t elements() const {
    int64_t count = 1;
    for (int axis = 0; axis < rank; ++axis) count *= dims[axis];
    return count;
  }
  void add_operand(std::span<const int64_t> operand_strides) {
    Strides s{};
    for (size_t i = 0; i < operand_strides.size(); ++i) s[i] = operand_strides[i];
    strides.push_back(s);
  }
  // Whether the elements of an operand follow each other through the axes [low, high).
  bool are_gapless(const Strides& strides, int low, int high) const {
    int64_t expected = 1;
    for (int axis = high; axis-- > low; expected *= dims[axis]) {
      if (dims[axis] != 1 && strides[axis] != expected) return false;
    }
    return true;
  }
  // Axis k becomes the one that was number order[k].
  template <class Order>
  void permute(const Order& order) {
    const auto moved = [&](auto& list) {
      const auto before = list;
      for (int k = 0; k < rank; ++k) list[k] = before[order[k]];
    };
    moved(dims);
    for (Strides& each : strides) moved(each);
  }
  // `keep_order`: axes stay in the given order (they are only dropped and merged). The rank is at least 1 afterwards.
  // `fence`: no axis below it merges with one at or above it; moved along, and returned in the new numbering.
  int normalize(bool keep_order = false, int fence = 0);
};

// Position in the loops, advanced odometer-fashion.
struct Position {
  std::array<int64_t, kMaxRank> index{};

  Position() = default;
  Position(const Loops& loops, int64_t flat) { set(loops, flat, 0, loops.rank); }
  // Element `flat` of the space of the axes [low, high).
  void set(const Loops& loops, int64_t flat, int low, int high) {
    for (int axis = high; axis-- > low;) {
      index[axis] = flat % loops.dims[axis];
      flat /= loops.dims[axis];
    }
  }
  int64_t offset(const Strides& strides, int rank) const {
    int64_t sum = 0;
    for (int axis = 0; axis < rank; ++axis) sum += index[axis] * strides[axis];
    return sum;
  }
  // Moves on by `count` elements that stay within the row of axis high - 1, carrying into the axes down to `low`.
  void step(const Loops& loops, int low, int high, int64_t count = 1) {
    index[high - 1] += count - 1;
    for (int axis = high; axis-- > low;) {
      if (++index[axis] < loops.dims[axis]) return;
      index[axis] = 0;
    }
  }
};

// Copies dims-many items of 1, 2, 4 or 8 bytes between two strided pieces of memory, in parallel.
void copy_items(size_t item_bytes, std::span<const int64_t> dims, void* dst, std::span<const int64_t> dst_strides,
                const void* src, std::span<const int64_t> src_strides);

}  // namespace trireme::cpu
