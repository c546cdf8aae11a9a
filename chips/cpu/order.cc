// sort and top_k.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "chips/cpu/kernel.h"

namespace trireme::cpu {
namespace {

// Keys as numbers that compare as the elements do: 16-bit floats as float.
template <class T>
auto key_of(T x) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) return static_cast<float>(x);
  else return x;
}
// True when a goes before b; NaN goes last.
template <class K>
bool before(K a, K b, bool descending) {
  if constexpr (std::is_floating_point_v<K>) {
    if (std::isnan(a) || std::isnan(b)) return !std::isnan(a) && std::isnan(b);
  }
  return descending ? a > b : a < b;
}

void move_item(std::byte* to, const std::byte* from, size_t bytes) {
  switch (bytes) {
    case 1: *to = *from; break;
    case 2: std::memcpy(to, from, 2); break;
    case 4: std::memcpy(to, from, 4); break;
    default: std::memcpy(to, from, 8);
  }
}

Run prepare_sort(const Program& program, const NodeView& node) {
  const TrmValue key = program.value(node.inputs()[0]);
  const AxisView view(key, axis_of(node, "axis", key.rank));
  const bool descending = node.flag("descending");
  struct Column {
    uint32_t out;
    TrmValue x;
    uint32_t in;
  };
  std::vector<Column> columns;
  for (size_t i = 0; i < node.inputs().size(); ++i) {
    columns.push_back({node.outputs()[i], program.value(node.inputs()[i]), node.inputs()[i]});
  }
  return visit_dtype(dtype_of(key), [&]<class T>() -> Run {
    return [=](void* const* values) {
      std::vector<DenseInput> inputs;
      for (const Column& column : columns) inputs.emplace_back(column.x, values[column.in]);
      const T* keys = static_cast<const T*>(inputs[0].data());
      parallel_for(view.outer * view.inner, grain_for(view.size * 16), [&](int64_t begin, int64_t end) {
        std::vector<std::pair<decltype(key_of(T{})), int32_t>> line(static_cast<size_t>(view.size));
        for (int64_t i = begin; i < end; ++i) {
          const int64_t base = i / view.inner * view.size * view.inner + i % view.inner;
          for (int64_t k = 0; k < view.size; ++k) {
            line[static_cast<size_t>(k)] = {key_of(keys[base + k * view.inner]), static_cast<int32_t>(k)};
          }
          std::stable_sort(line.begin(), line.end(),
                           [&](const auto& a, const auto& b) { return before(a.first, b.first, descending); });
          for (size_t c = 0; c < columns.size(); ++c) {
            const size_t bytes = chip::size_of(columns[c].x.dtype);
            const auto* from = static_cast<const std::byte*>(inputs[c].data());
            auto* to = static_cast<std::byte*>(values[columns[c].out]);
            for (int64_t k = 0; k < view.size; ++k) {
              const int64_t source = base + line[static_cast<size_t>(k)].second * view.inner;
              move_item(to + static_cast<size_t>(base + k * view.inner) * bytes,
                        from + static_cast<size_t>(source) * bytes, bytes);
            }
          }
        }
      });
    };
  });
}

Run prepare_top_k(const Program& program, const NodeView& node) {
  const uint32_t in = node.inputs()[0], out = node.outputs()[0], out_indices = node.outputs()[1];
  const TrmValue x = program.value(in);
  const int64_t size = x.dims[x.rank - 1], lines = size == 0 ? 0 : chip::elements(x) / size, k = node.integer("k");
  const bool largest = node.flag("largest");
  return visit_dtype(dtype_of(x), [&]<class T>() -> Run {
    return [=](void* const* values) {
      const DenseInput dense(x, values[in]);
      const T* input = static_cast<const T*>(dense.data());
      T* best = static_cast<T*>(values[out]);
      auto* places = static_cast<int32_t*>(values[out_indices]);
      parallel_for(lines, grain_for(size * 4), [&](int64_t begin, int64_t end) {
        std::vector<int32_t> order(static_cast<size_t>(size));
        for (int64_t line = begin; line < end; ++line) {
          const T* first = input + line * size;
          std::iota(order.begin(), order.end(), 0);
          std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int32_t a, int32_t b) {
            const auto left = key_of(first[a]), right = key_of(first[b]);
            if (before(left, right, largest)) return true;
            return !before(right, left, largest) && a < b;
          });
          for (int64_t i = 0; i < k; ++i) {
            best[line * k + i] = first[order[static_cast<size_t>(i)]];
            places[line * k + i] = order[static_cast<size_t>(i)];
          }
        }
      });
    };
  });
}

constexpr KernelEntry kTable[] = {
    {"sort", any_dtype, false, prepare_sort, nullptr, 60.0},
    {"top_k", numbers, false, prepare_top_k, nullptr, 20.0},
};

}  // namespace

std::span<const KernelEntry> order_kernels() { return kTable; }

}  // namespace trireme::cpu
