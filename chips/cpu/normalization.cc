// softmax, log_softmax, layer_norm and rms_norm whole: each line is worked on while it sits in the cache. Elementwise
// nodes before it may be part of the program: their tiles then are the line.
#include <algorithm>
#include <memory>
#include <optional>

#include "chips/cpu/kernel.h"
#include "chips/cpu/normalization_kernel.h"
#include "chips/cpu/tile_ops.h"
#include "chips/cpu/tile_program.h"

namespace trireme::cpu {
namespace {

// The nodes before the last one; its input is what they are compiled for.
std::shared_ptr<TileProgram> nodes_before(const Program& program, const NodeView& node) {
  if (program.node_count() == 1) return nullptr;
  if (node.number() != program.node_count() - 1)
    throw Failure(TRM_UNSUPPORTED, "elementwise nodes after a normalisation");
  for (uint32_t n = 0; n + 1 < program.node_count(); ++n) {
    const uint32_t made = program.node(n).outputs()[0];
    for (size_t i = 1; i < node.inputs().size(); ++i) {
      if (node.inputs()[i] == made) throw Failure(TRM_UNSUPPORTED, "a factor is made in the same program");
    }
  }
  return std::make_shared<TileProgram>(program, program.node_count() - 1, chip::dims(program.value(node.inputs()[0])));
}

// Makes work(x, y, length, values) of every line of x along the view's axis, in the register type; y may be x.
template <class T, class Work>
class Lines {
 public:
  Lines(const Program& program, const NodeView& node, const AxisView& view, const Work& work)
      : view_(view),
        work_(work),
        x_(program.value(node.inputs()[0])),
        in_(node.inputs()[0]),
        out_(node.outputs()[0]),
        load_(find_tile_load(dtype_of(x_))),
        store_(find_tile_store(dtype_of(x_))),
        before_(nodes_before(program, node)) {
    if (!before_) return;
    if (view.inner != 1) throw Failure(TRM_UNSUPPORTED, "elementwise nodes before lines that do not lie in one piece");
    source_ = before_->keep(program, in_);
    before_->loops.normalize(true);
    before_->finish();
  }

  void run(void* const* values) const {
    std::optional<DenseInput> dense;
    if (!before_) dense.emplace(x_, values[in_]);
    const auto* from = dense ? static_cast<const std::byte*>(dense->data()) : nullptr;
    auto* to = static_cast<std::byte*>(values[out_]);
    const auto item = static_cast<int64_t>(size_of(dtype_of(x_)));
    const bool in_place = view_.inner == 1 && sizeof(T) == item;
    parallel_for(view_.outer * view_.inner, grain_for(view_.size * 8), [&](int64_t begin, int64_t end) {
      TileProgram::Frame frame;
      if (before_) frame = before_->frame(values);
      T* line = nullptr;
      if (!in_place) {
        line = reinterpret_cast<T*>(thread_scratch(kBlockScratch, static_cast<size_t>(view_.size) * sizeof(T)));
      }
      for (int64_t i = begin; i < end; ++i) {
        const int64_t base = i / view_.inner * view_.size * view_.inner + i % view_.inner;
        const auto each_tile = [&](auto f) {
          for (int64_t at = 0; at < view_.size; at += kTile) {
            f(at, (base + at * view_.inner) * item, std::min(kTile, view_.size - at));
          }
        };
        T* y = in_place ? reinterpret_cast<T*>(to) + base : line;
        const T* x = y;
        if (before_) {
          each_tile([&](int64_t at, int64_t, int64_t n) {
            before_->evaluate(frame, Position(before_->loops, base + at), 0, before_->loops.rank, n);
            std::copy_n(static_cast<const T*>(frame.at[static_cast<size_t>(source_)]), n, y + at);
          });
        } else if (in_place) {
          x = reinterpret_cast<const T*>(from) + base;
        } else {
          each_tile([&](int64_t at, int64_t offset, int64_t n) {
            load_(line + at, from + offset, view_.inner, static_cast<size_t>(n));
          });
        }
        work_(x, y, view_.size, values);
        if (in_place) continue;
        each_tile([&](int64_t at, int64_t offset, int64_t n) {
          store_(to + offset, view_.inner, line + at, static_cast<size_t>(n));
        });
      }
    });
  }

 private:
  AxisView view_;
  Work work_;
  TrmValue x_;
  uint32_t in_, out_;
  TileLoad load_;
  TileStore store_;
  std::shared_ptr<TileProgram> before_;
  int source_ = -1;  // register of x
};

template <class Work>
Run run_lines(const Program& program, const NodeView& node, const AxisView& view, const Work& work) {
  const auto with = [&]<class T>() -> Run {
    const auto lines = std::make_shared<const Lines<T, Work>>(program, node, view, work);
    if (view.size == 0) return [](void* const*) {};
    return [lines](void* const* values) { lines->run(values); };
  };
  return dtype_of(program.value(node.inputs()[0])) == f64 ? with.template operator()<double>()
                                                          : with.template operator()<float>();
}

AxisView along_axis(const Program& program, const NodeView& node) {
  const TrmValue x = program.value(node.inputs()[0]);
  return AxisView(x, axis_of(node, "axis", x.rank));
}
Run prepare_softmax(const Program& program, const NodeView& node) {
  return run_lines(
      program, node, along_axis(program, node),
      []<class T>(const T* x, T* y, int64_t count, void* const*) { line_kernels<T>().softmax(x, y, count); });
}
Run prepare_log_softmax(const Program& program, const NodeView& node) {
  return run_lines(
      program, node, along_axis(program, node),
      []<class T>(const T* x, T* y, int64_t count, void* const*) { line_kernels<T>().log_softmax(x, y, count); });
}

// The last `axes` axes as one line.
AxisView trailing(const TrmValue& x, int64_t axes) {
  AxisView view(x, static_cast<int64_t>(x.rank) - axes);
  view.size *= view.inner;
  view.inner = 1;
  return view;
}

// The weight or the bias of a norm: one line.
struct Factor {
  uint32_t value = TRM_ABSENT;
  TrmValue v{};
  Factor() = default;
  Factor(const Program& program, const NodeView& node, uint32_t input) {
    if (!node.has(input)) return;
    value = node.inputs()[input];
    v = program.value(value);
  }
  template <class T>
  const T* line(void* const* values, ScratchSlot slot) const {
    if (value == TRM_ABSENT) return nullptr;
    const DType wanted = sizeof(T) == 4 ? f32 : f64;
    if (dtype_of(v) == wanted && chip::is_dense(v)) return static_cast<const T*>(values[value]);
    const DenseInput dense(v, values[value]);
    const auto* from = static_cast<const std::byte*>(dense.data());
    auto* to = reinterpret_cast<T*>(thread_scratch(slot, static_cast<size_t>(chip::elements(v)) * sizeof(T)));
    for (int64_t at = 0; at < chip::elements(v); at += kTile) {
      alignas(64) std::byte held[kTile * 8];
      const auto count = static_cast<size_t>(std::min(kTile, chip::elements(v) - at));
      find_tile_load(dtype_of(v))(held, from + at * static_cast<int64_t>(size_of(dtype_of(v))), 1, count);
      const void* in[] = {held};
      find_tile_conversion(dtype_of(v), wanted)(to + at, in, count, {});
    }
    return to;
  }
};

Run prepare_norm(const Program& program, const NodeView& node, bool centred) {
  const double epsilon = node.number("epsilon");
  const Factor weight(program, node, 1), bias = centred ? Factor(program, node, 2) : Factor();
  const AxisView view = trailing(program.value(node.inputs()[0]), node.integer("axes"));
  return run_lines(program, node, view, [=]<class T>(const T* x, T* y, int64_t count, void* const* values) {
    line_kernels<T>().normalize(x, y, count, centred, epsilon, weight.line<T>(values, kPackScratchA),
                                bias.line<T>(values, kPackScratchB));
  });
}
Run prepare_layer_norm(const Program& program, const NodeView& node) { return prepare_norm(program, node, true); }
Run prepare_rms_norm(const Program& program, const NodeView& node) { return prepare_norm(program, node, false); }

template <Run (*kPrepare)(const Program&, const NodeView&)>
void check_fused(const Program& program, const NodeView& node) {
  kPrepare(program, node);
}

constexpr KernelEntry kTable[] = {
    {"softmax", floats, false, prepare_softmax, nullptr, 24.0, check_fused<prepare_softmax>},
    {"log_softmax", floats, false, prepare_log_softmax, nullptr, 24.0, check_fused<prepare_log_softmax>},
    {"layer_norm", floats, false, prepare_layer_norm, nullptr, 16.0, check_fused<prepare_layer_norm>},
    {"rms_norm", floats, false, prepare_rms_norm, nullptr, 12.0, check_fused<prepare_rms_norm>},
};

}  // namespace

std::span<const KernelEntry> normalization_kernels() { return kTable; }

}  // namespace trireme::cpu
