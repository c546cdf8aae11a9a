// gather and the scatter family.
#include <algorithm>
#include <cstring>
#include <memory>

#include "chips/cpu/kernel.h"
#include "chips/cpu/loops.h"
#include "chips/cpu/tile_float.h"

namespace trireme::cpu {
namespace {

// Indices as i64, in row-major order whatever their strides.
std::vector<int64_t> read_indices(const TrmValue& v, const void* memory) {
  const int64_t count = chip::elements(v);
  std::vector<int64_t> indices(static_cast<size_t>(count));
  if (count == 0) return indices;
  Loops loops;
  loops.rank = static_cast<int>(v.rank);
  std::copy_n(v.dims, v.rank, loops.dims.begin());
  loops.add_operand(chip::strides(v));
  loops.normalize(true);
  Position at(loops, 0);
  for (int64_t i = 0; i < count; ++i, at.step(loops, 0, loops.rank)) {
    const int64_t offset = at.offset(loops.strides[0], loops.rank);
    indices[static_cast<size_t>(i)] =
        v.dtype == TRM_I32 ? static_cast<const int32_t*>(memory)[offset] : static_cast<const int64_t*>(memory)[offset];
  }
  return indices;
}

// The order of memory of a gather's input and output. Several axes of indices leave the channels no place to stay.
AxisOrder order_of_gather(const Program& program, const NodeView& node) {
  const TrmValue x = program.value(node.inputs()[0]);
  return program.value(node.inputs()[1]).rank == 1 ? order_of(x) : row_major_order();
}
void ask_gather_layouts(const Program& program, const NodeView& node, TrmAnswer& answer) {
  const AxisOrder order = order_of_gather(program, node);
  if (!is_dense_in(program.value(node.outputs()[0]), order)) ask_order(program, program.input_count(), order, answer);
}

// y[outer, k, inner] = x[outer, indices[k], inner], in the order of memory when x lies without gaps, else row-major and
// inner and outer being several axes of x with any strides.
Run prepare_gather(const Program& program, const NodeView& node) {
  const uint32_t in = node.inputs()[0], index = node.inputs()[1], out = node.outputs()[0];
  const TrmValue x = program.value(in), list = program.value(index), y = program.value(out);
  const int64_t axis = axis_of(node, "axis", x.rank);
  const AxisOrder order = order_of_gather(program, node);
  const AxisView view(x, axis, order);
  // One slice x[:, i, :] is a strided copy to y with the indexed axis taken out.
  std::vector<int64_t> dims, from, to;
  const int64_t count = chip::elements(list);
  const std::vector<int64_t> y_inner = [&] {
    std::vector<int64_t> strides(x.rank);
    int64_t stride = 1;
    for (uint32_t k = x.rank; k-- > 0;) {
      strides[order[k]] = stride;
      stride *= order[k] == axis ? count : x.dims[order[k]];
    }
    return strides;
  }();
  for (int64_t a = 0; a < x.rank; ++a) {
    if (a == axis) continue;
    dims.push_back(x.dims[a]);
    from.push_back(x.strides[a]);
    to.push_back(y_inner[static_cast<size_t>(a)]);
  }
  const size_t item = chip::size_of(x.dtype);
  const bool rows = is_dense_in(x, order);
  return [=](void* const* values) {
    if (chip::elements(y) == 0) return;
    const std::vector<int64_t> indices = read_indices(list, values[index]);
    const auto* source = static_cast<const std::byte*>(values[in]);
    auto* target = static_cast<std::byte*>(values[out]);
    const auto clamped = [&](int64_t k) {
      return std::clamp<int64_t>(indices[static_cast<size_t>(k)], 0, view.size - 1);
    };
    if (!rows) {
      for (int64_t k = 0; k < count; ++k) {
        copy_items(item, dims, target + k * view.inner * static_cast<int64_t>(item), to,
                   source + clamped(k) * x.strides[axis] * static_cast<int64_t>(item), from);
      }
      return;
    }
    const int64_t bytes = view.inner * static_cast<int64_t>(item);
    parallel_for(view.outer * count, grain_for(view.inner), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t o = i / count, k = i % count;
        const std::byte* row = source + (o * view.size + clamped(k)) * bytes;
        switch (bytes) {
          case 4: std::memcpy(target + i * bytes, row, 4); break;
          case 8: std::memcpy(target + i * bytes, row, 8); break;
          default: std::memcpy(target + i * bytes, row, static_cast<size_t>(bytes));
        }
      }
    });
  };
}

enum class Scatter : uint8_t { kAdd, kSet, kMax, kMin };

template <class T, Scatter kHow>
void apply(T* row, const T* update, int64_t count) {
  for (int64_t j = 0; j < count; ++j) {
    if constexpr (kHow == Scatter::kAdd && std::is_integral_v<T>) {
      row[j] = static_cast<T>(static_cast<uint64_t>(row[j]) + static_cast<uint64_t>(update[j]));
    } else if constexpr (kHow == Scatter::kAdd) {
      row[j] += update[j];
    } else if constexpr (kHow == Scatter::kSet) {
      row[j] = update[j];
    } else if constexpr (kHow == Scatter::kMax) {
      row[j] = row[j] > update[j] || row[j] != row[j] ? row[j] : update[j];
    } else {
      row[j] = row[j] < update[j] || row[j] != row[j] ? row[j] : update[j];
    }
  }
}

// A band is a part of y that one thread owns: some outer positions and some rows of the axis. Each thread reads all
// indices in order and applies those that fall into its band, so the order of additions never depends on the threads.
template <class T, Scatter kHow>
void scatter(const AxisView& view, T* y, const std::vector<int64_t>& indices, const T* updates) {
  const auto count = static_cast<int64_t>(indices.size());
  const auto band = [&](int64_t outer_begin, int64_t outer_end, int64_t row_begin, int64_t row_end) {
    for (int64_t o = outer_begin; o < outer_end; ++o) {
      for (int64_t k = 0; k < count; ++k) {
        const int64_t row = indices[static_cast<size_t>(k)];
        if (row < row_begin || row >= row_end) continue;
        apply<T, kHow>(y + (o * view.size + row) * view.inner, updates + (o * count + k) * view.inner, view.inner);
      }
    }
  };
  if (view.outer != 1) {
    parallel_for(view.outer, grain_for(count * view.inner), [&](int64_t b, int64_t e) { band(b, e, 0, view.size); });
  } else if (view.inner >= 8) {
    const int64_t work = count * view.inner / std::max<int64_t>(1, view.size);
    parallel_for(view.size, grain_for(work), [&](int64_t b, int64_t e) { band(0, 1, b, e); });
  } else {
    band(0, 1, 0, view.size);
  }
}

template <Scatter kHow>
Run prepare_scatter(const Program& program, const NodeView& node) {
  const uint32_t in = node.inputs()[0], index = node.inputs()[1], update = node.inputs()[2], out = node.outputs()[0];
  const TrmValue x = program.value(in), list = program.value(index), u = program.value(update), y = program.value(out);
  const AxisView view(x, axis_of(node, "axis", x.rank));
  const auto copy = [x, y](void* from, void* to) {
    copy_items(chip::size_of(x.dtype), chip::dims(x), to, chip::strides(y), from, chip::strides(x));
  };
  const DType type = dtype_of(x);
  if (type == f16 || type == bf16) {
    if (kHow == Scatter::kSet) {
      return [=](void* const* values) {
        copy(values[in], values[out]);
        const DenseInput updates(u, values[update]);
        scatter<uint16_t, Scatter::kSet>(view, static_cast<uint16_t*>(values[out]), read_indices(list, values[index]),
                                         static_cast<const uint16_t*>(updates.data()));
      };
    }
    // Held in f32 and rounded once.
    return [=](void* const* values) {
      copy(values[in], values[out]);
      const auto wide = [&](const void* memory, int64_t n) {
        std::vector<float> floats(static_cast<size_t>(n));
        load_half_floats(floats.data(), memory, floats.size(), type == bf16);
        return floats;
      };
      std::vector<float> held = wide(values[out], chip::elements(y));
      const DenseInput updates(u, values[update]);
      const std::vector<float> given = wide(updates.data(), chip::elements(u));
      scatter<float, kHow>(view, held.data(), read_indices(list, values[index]), given.data());
      store_half_floats(values[out], held.data(), held.size(), type == bf16);
    };
  }
  return visit_dtype(type, [&]<class T>() -> Run {
    if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
      return nullptr;  // above
    } else {
      using Held = std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>;
      return [=](void* const* values) {
        copy(values[in], values[out]);
        const DenseInput updates(u, values[update]);
        scatter<Held, kHow>(view, static_cast<Held*>(values[out]), read_indices(list, values[index]),
                            static_cast<const Held*>(updates.data()));
      };
    }
  });
}

constexpr KernelEntry kTable[] = {
    {"gather", any_dtype, false, prepare_gather, nullptr, 1.0, nullptr, ask_gather_layouts},
    {"scatter_add", numbers, false, prepare_scatter<Scatter::kAdd>},
    {"scatter_set", any_dtype, false, prepare_scatter<Scatter::kSet>},
    {"scatter_max", numbers, false, prepare_scatter<Scatter::kMax>},
    {"scatter_min", numbers, false, prepare_scatter<Scatter::kMin>},
};

}  // namespace

std::span<const KernelEntry> indexing_kernels() { return kTable; }

}  // namespace trireme::cpu
