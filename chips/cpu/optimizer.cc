// adam_step, adamw_step and momentum_step whole, for several parameters in one launch.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "chips/cpu/kernel.h"
#include "chips/cpu/optimizer_kernel.h"

namespace trireme::cpu {
namespace {

constexpr int64_t kPiece = 8192;  // elements of a piece of parallel work

// One node: its tensors by position, and what its scalars make of its attributes.
class Adam {
 public:
  static constexpr uint32_t kState = 2;  // tensors of state
  Adam(const NodeView& node)
      : in_(node.inputs().begin(), node.inputs().end()),
        out_(node.outputs().begin(), node.outputs().end()),
        decoupled_(node.op() == "adamw_step"),
        beta1_(node.number("beta1")),
        beta2_(node.number("beta2")),
        epsilon_(node.number("epsilon")),
        decay_(node.number("weight_decay")) {}

  void run(void* const* values, int64_t at, int64_t count) const {
    const double step = scalar(values, 4), rate = scalar(values, 5);
    // 1 - beta^step
    const auto correction = [&](double beta) { return beta == 0.0 ? 1.0 : -std::expm1(step * std::log(beta)); };
    const AdamFactors factors{static_cast<float>(decoupled_ ? 0.0 : decay_),
                              static_cast<float>(decoupled_ ? 1.0 - rate * decay_ : 1.0),
                              static_cast<float>(beta1_),
                              static_cast<float>(beta2_),
                              static_cast<float>(1.0 - beta1_),
                              static_cast<float>(1.0 - beta2_),
                              static_cast<float>(1.0 / std::sqrt(correction(beta2_))),
                              static_cast<float>(correction(beta1_)),
                              static_cast<float>(epsilon_),
                              static_cast<float>(rate)};
    const auto from = [&](size_t i) { return static_cast<const float*>(values[in_[i]]) + at; };
    const auto to = [&](size_t i) { return static_cast<float*>(values[out_[i]]) + at; };
    adam(factors, {from(0), from(1), from(2), from(3), to(0), to(1), to(2)}, count);
  }

 private:
  double scalar(void* const* values, size_t i) const { return *static_cast<const float*>(values[in_[i]]); }

  std::vector<uint32_t> in_, out_;
  bool decoupled_;
  double beta1_, beta2_, epsilon_, decay_;
};

class Momentum {
 public:
  static constexpr uint32_t kState = 1;
  Momentum(const NodeView& node)
      : in_(node.inputs().begin(), node.inputs().end()),
        out_(node.outputs().begin(), node.outputs().end()),
        momentum_(node.number("momentum")),
        decay_(node.number("weight_decay")),
        nesterov_(node.flag("nesterov")) {}

  void run(void* const* values, int64_t at, int64_t count) const {
    const MomentumFactors factors{static_cast<float>(decay_), static_cast<float>(momentum_),
                                  *static_cast<const float*>(values[in_[3]]), nesterov_};
    const auto from = [&](size_t i) { return static_cast<const float*>(values[in_[i]]) + at; };
    const auto to = [&](size_t i) { return static_cast<float*>(values[out_[i]]) + at; };
    momentum(factors, {from(0), from(1), from(2), to(0), to(1)}, count);
  }

 private:
  std::vector<uint32_t> in_, out_;
  double momentum_, decay_;
  bool nesterov_;
};

template <class Step>
Run prepare_steps(const Program& program, const NodeView&) {
  std::vector<Step> steps;
  std::vector<int64_t> sizes, first_piece = {0};
  for (uint32_t n = 0; n < program.node_count(); ++n) {
    const NodeView node = program.node(n);
    steps.emplace_back(node);
    sizes.push_back(chip::elements(program.value(node.outputs()[0])));
    first_piece.push_back(first_piece.back() + (sizes.back() + kPiece - 1) / kPiece);
  }
  const int64_t elements = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  const int64_t grain = std::max<int64_t>(1, first_piece.back() * kGrainElements / std::max<int64_t>(1, elements));
  return [=](void* const* values) {
    parallel_for(first_piece.back(), grain, [&](int64_t begin, int64_t end) {
      auto step = static_cast<size_t>(std::upper_bound(first_piece.begin(), first_piece.end(), begin) -
                                      first_piece.begin() - 1);
      for (int64_t piece = begin; piece < end; ++step) {
        const int64_t last = std::min(end, first_piece[step + 1]);
        const int64_t at = (piece - first_piece[step]) * kPiece;
        const int64_t stop = std::min(sizes[step], (last - first_piece[step]) * kPiece);
        if (stop > at) steps[step].run(values, at, stop - at);
        piece = last;
      }
    });
  };
}

// Everything dense and f32; a result may take the memory of what it replaces.
template <class Step>
void ask_layouts(const Program& program, const NodeView&, TrmAnswer& answer) {
  for (uint32_t i = 0; i < program.operand_count(); ++i) {
    const TrmValue v = program.operand(i);
    if (dtype_of(v) != f32) throw Failure(TRM_UNSUPPORTED, "an optimizer step with other types than f32");
    if (!chip::is_dense(v)) ask_order(program, i, row_major_order(), answer);
  }
  // The input that is this value, if no other step and no other place reads it.
  const auto input_of = [&](uint32_t value) {
    int64_t uses = 0;
    for (uint32_t n = 0; n < program.node_count(); ++n) {
      const NodeView node = program.node(n);
      uses += std::count(node.inputs().begin(), node.inputs().end(), value);
    }
    for (uint32_t i = 0; i < program.input_count(); ++i) {
      if (program.input(i) == value && uses == 1) return static_cast<int32_t>(i);
    }
    return -1;
  };
  for (uint32_t n = 0; n < program.node_count(); ++n) {
    const NodeView node = program.node(n);
    for (uint32_t k = 0; k < program.output_count(); ++k) {
      for (uint32_t j = 0; j <= Step::kState; ++j) {
        if (program.output(k) == node.outputs()[j]) answer.in_place[k] = input_of(node.inputs()[j == 0 ? 0 : j + 1]);
      }
    }
  }
}

constexpr KernelEntry kTable[] = {
    {"adam_step", only(f32), false, prepare_steps<Adam>, nullptr, 20.0, nullptr, ask_layouts<Adam>, true},
    {"adamw_step", only(f32), false, prepare_steps<Adam>, nullptr, 20.0, nullptr, ask_layouts<Adam>, true},
    {"momentum_step", only(f32), false, prepare_steps<Momentum>, nullptr, 6.0, nullptr, ask_layouts<Momentum>, true},
};

}  // namespace

std::span<const KernelEntry> optimizer_kernels() { return kTable; }

}  // namespace trireme::cpu
