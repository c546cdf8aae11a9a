// attention and its gradient whole: scores exist for one panel of queries at a time (Dao et al., "FlashAttention: Fast
// and Memory-Efficient Exact Attention with IO-Awareness", 2022).
//
// Scores are computed transposed, [key][query], W queries at a time. So softmax runs down columns without a horizontal
// step, and the probabilities are already the right operand of their product with the values, which gives the result
// transposed, too. Keys and values are packed once per head of keys and serve all its queries.
#include <algorithm>
#include <cmath>
#include <limits>

#include "chips/cpu/attention_kernel.h"
#include "chips/cpu/gemm.h"
#include "chips/cpu/kernel.h"
#include "chips/cpu/tile_float.h"

namespace trireme::cpu {
namespace {

// Keys whose scores are worked on at once in the forward pass: a panel of them stays in the first-level cache.
constexpr int64_t kKeyPiece = 240;  // a multiple of the rows of every micro kernel

// [batch, head, position, feature] in memory.
struct Tensor4 {
  uint32_t value = TRM_ABSENT;
  DType type = f32;
  std::array<int64_t, 4> strides{};

  Tensor4() = default;
  // Axes of size 1 and missing leading ones are repeated.
  Tensor4(const Program& program, uint32_t number) : value(number) {
    const TrmValue v = program.value(number);
    type = dtype_of(v);
    for (uint32_t axis = 0; axis < v.rank; ++axis) {
      strides[axis + 4 - v.rank] = v.dims[axis] == 1 ? 0 : v.strides[axis];
    }
  }
  template <class P>
  P* at(P* base, int64_t batch, int64_t head, int64_t position) const {
    return base +
           (batch * strides[0] + head * strides[1] + position * strides[2]) * static_cast<int64_t>(size_of(type));
  }
  const std::byte* in(void* const* values, int64_t batch, int64_t head, int64_t position = 0) const {
    return at(static_cast<const std::byte*>(values[value]), batch, head, position);
  }
  // Rows are positions.
  MatrixView matrix(void* const* values, int64_t batch, int64_t head, int64_t position = 0) const {
    return {in(values, batch, head, position), type, strides[2], strides[3]};
  }
  // Rows of f32, `step` apart, to positions from `first` on.
  void store(void* const* values, int64_t batch, int64_t head, int64_t first, int64_t count, int64_t features,
             const float* rows, int64_t step) const {
    auto* base = static_cast<std::byte*>(values[value]);
    for (int64_t i = 0; i < count; ++i, rows += step) {
      std::byte* to = at(base, batch, head, first + i);
      if (type == f32) std::copy_n(rows, features, reinterpret_cast<float*>(to));
      else store_half_floats(to, rows, static_cast<size_t>(features), type == bf16);
    }
  }
};

// Floats from one piece of this thread's memory, each run on a cache line of its own.
class Carver {
 public:
  float* take(int64_t count) {
    float* run = base_ + used_;
    used_ += round_up(count, 16);
    return run;
  }
  int64_t used() const { return used_; }
  void start(float* base) { base_ = base, used_ = 0; }

 private:
  float* base_ = nullptr;
  int64_t used_ = 0;
};
// Lays out `scratch` twice: to learn its size, and in memory.
template <class Scratch>
void carve(Scratch& scratch) {
  Carver carver;
  scratch.lay(carver);
  carver.start(
      reinterpret_cast<float*>(thread_scratch(kBlockScratch, static_cast<size_t>(carver.used()) * sizeof(float))));
  scratch.lay(carver);
}

// What attention and its gradient share.
struct Heads {
  const MicroKernel<float>& products = micro_kernel<float>();
  const AttentionKernel& steps = attention_kernel();
  Tensor4 q, k, v, mask;
  bool has_mask = false, mask_is_bool = false, causal = false;
  float scale;
  int64_t batch, heads, key_heads, group, queries, keys, width, value_width;
  int64_t panel = products.columns;                // queries
  int64_t panels;                                  // of one head
  int64_t pieces;                                  // of the panels of a group of heads, each a task
  int64_t key_rows, width_rows, value_width_rows;  // padded to the rows of the micro kernel

  // Throws Failure (TRM_UNSUPPORTED) for forms that the decomposition does better, or that have nothing to compute.
  Heads(const Program& program, const NodeView& node, uint32_t mask_input)
      : q(program, node.inputs()[0]),
        k(program, node.inputs()[1]),
        v(program, node.inputs()[2]),
        has_mask(node.has(mask_input)),
        causal(node.flag("causal")) {
    const TrmValue qv = program.value(node.inputs()[0]), kv = program.value(node.inputs()[1]),
                   vv = program.value(node.inputs()[2]);
    batch = qv.dims[0], heads = qv.dims[1], queries = qv.dims[2], width = qv.dims[3];
    key_heads = kv.dims[1], keys = kv.dims[2], value_width = vv.dims[3];
    if (batch * heads * queries * width * value_width == 0) throw Failure(TRM_UNSUPPORTED, "attention of nothing");
    group = heads / key_heads;
    if (group * queries < 8) throw Failure(TRM_UNSUPPORTED, "too few queries to pack keys and values for");
    if (q.type == bf16 && tile_kernel()) throw Failure(TRM_UNSUPPORTED, "bf16 products run on matrix tiles");
    if (has_mask) {
      mask = Tensor4(program, node.inputs()[mask_input]);
      mask_is_bool = mask.type == boolean;
      if (mask.type == f64) throw Failure(TRM_UNSUPPORTED, "a mask of doubles");
    }
    const double given = node.number("scale");
    scale = static_cast<float>(given != 0.0 ? given : 1.0 / std::sqrt(static_cast<double>(width)));
    panels = (queries + panel - 1) / panel;
    const auto threads = static_cast<int64_t>(host->threads());
    const int64_t tasks = batch * key_heads;
    pieces = tasks >= 4 * threads ? 1 : std::min(group * panels, (4 * threads + tasks - 1) / tasks);
    key_rows = round_up(keys, products.rows);
    width_rows = round_up(width, products.rows);
    value_width_rows = round_up(value_width, products.rows);
  }

  // Keys that the queries [first, first + count) may see at most.
  int64_t visible(int64_t first, int64_t count) const {
    return causal ? std::clamp<int64_t>(first + count + keys - queries, 0, keys) : keys;
  }

  // c [rows][panel] = or += a b, of packed a [panel of rows][inner] and b [inner][panel].
  void multiply(int64_t rows, int64_t inner, const float* a, const float* b, float* c, bool add) const {
    for (int64_t i = 0; i < rows; i += products.rows) {
      products.run(std::min(products.rows, rows - i), inner, a + i * inner, b, c + i * panel, panel, add);
    }
  }

  // Up to `panel` positions of one head as a right operand, [feature][position].
  void pack_positions(const MatrixView& rows, int64_t count, int64_t features, float* to) const {
    products.pack_right(rows.transposed(), features, count, to);
  }

  // Scores that are not to be seen become -infinity, and an added mask is added. `scores` is of the keys from `key` on.
  void hide(void* const* values, int64_t n, int64_t head, int64_t first, int64_t count, int64_t key, int64_t key_count,
            float* scores) const {
    constexpr float kNothing = -std::numeric_limits<float>::infinity();
    if (has_mask) {
      const auto apply = [&]<class M>() {
        for (int64_t i = 0; i < count; ++i) {
          const auto* row = reinterpret_cast<const M*>(mask.in(values, n, head, first + i)) + key * mask.strides[3];
          for (int64_t j = 0; j < key_count; ++j) {
            float& score = scores[j * panel + i];
            const M m = row[j * mask.strides[3]];
            if constexpr (std::is_same_v<M, uint8_t>) score = m ? score : kNothing;
            else score += static_cast<float>(m);
          }
        }
      };
      if (mask_is_bool) apply.template operator()<uint8_t>();
      else if (mask.type == f16) apply.template operator()<Half>();
      else if (mask.type == bf16) apply.template operator()<BFloat16>();
      else apply.template operator()<float>();
    }
    if (!causal) return;
    const int64_t last = first + keys - queries;  // the last key that the first query sees
    for (int64_t j = std::max<int64_t>(0, last + 1 - key); j < key_count; ++j) {
      std::fill_n(scores + j * panel, std::min(count, key + j - last), kNothing);
    }
  }

  double products_of(double each) const {  // floating operations
    const double pairs = static_cast<double>(batch * heads * queries) * static_cast<double>(keys);
    return each * pairs * static_cast<double>(width + value_width) * (causal ? 0.5 : 1.0);
  }
  int64_t grain() const {  // tasks
    return static_cast<int64_t>(5e5 / (products_of(2.0) / static_cast<double>(batch * key_heads * pieces))) + 1;
  }
};

class Attention {
 public:
  Attention(const Program& program, const NodeView& node) : h_(program, node, 3), y_(program, node.outputs()[0]) {}

  void run(void* const* values) const {
    const int64_t tasks = h_.batch * h_.key_heads * h_.pieces;
    parallel_for(tasks, h_.grain(), [&](int64_t begin, int64_t end) {
      Scratch s{h_};
      carve(s);
      int64_t packed = -1;  // the head of keys that lies packed
      for (int64_t task = begin; task < end; ++task) {
        const int64_t key_head = task / h_.pieces, piece = task % h_.pieces, all = h_.group * h_.panels;
        if (packed != key_head) pack(s, values, key_head);
        packed = key_head;
        for (int64_t i = all * piece / h_.pieces; i < all * (piece + 1) / h_.pieces; ++i) {
          run_panel(s, values, key_head / h_.key_heads, key_head % h_.key_heads * h_.group + i / h_.panels,
                    i % h_.panels * h_.panel);
        }
      }
    });
  }

 private:
  struct Scratch {
    const Heads& h;
    float *k{}, *v{};  // packed
    float *q{}, *scores{}, *y{}, *top{}, *sum{}, *factor{}, *rows{};
    void lay(Carver& c) {
      k = c.take(h.key_rows * h.width), v = c.take(h.keys * h.value_width_rows);
      q = c.take(h.width * h.panel), scores = c.take(kKeyPiece * h.panel), y = c.take(h.value_width_rows * h.panel);
      top = c.take(h.panel), sum = c.take(h.panel), factor = c.take(h.panel);
      rows = c.take(h.panel * h.value_width);
    }
  };

  void pack(const Scratch& s, void* const* values, int64_t key_head) const {
    const int64_t n = key_head / h_.key_heads, head = key_head % h_.key_heads;
    h_.products.pack_left(h_.k.matrix(values, n, head).transposed(), h_.width, h_.keys, s.k);
    for (int64_t key = 0; key < h_.keys; key += kKeyPiece) {
      h_.products.pack_left(h_.v.matrix(values, n, head, key), std::min(kKeyPiece, h_.keys - key), h_.value_width,
                            s.v + key * h_.value_width_rows);
    }
  }

  void run_panel(const Scratch& s, void* const* values, int64_t n, int64_t head, int64_t first) const {
    const int64_t count = std::min(h_.panel, h_.queries - first), visible = h_.visible(first, count);
    std::fill_n(s.top, h_.panel, -std::numeric_limits<float>::infinity());
    std::fill_n(s.sum, h_.panel, 0.0f);
    if (visible == 0) std::fill_n(s.y, h_.value_width * h_.panel, 0.0f);
    h_.pack_positions(h_.q.matrix(values, n, head, first), count, h_.width, s.q);
    h_.products.scale(h_.width * h_.panel, h_.scale, s.q);
    for (int64_t key = 0; key < visible; key += kKeyPiece) {
      const int64_t keys = std::min(kKeyPiece, visible - key), packed = std::min(kKeyPiece, h_.keys - key);
      h_.multiply(keys, h_.width, s.k + key * h_.width, s.q, s.scores, false);
      h_.hide(values, n, head, first, count, key, keys, s.scores);
      h_.steps.weigh(keys, s.scores, s.top, s.sum, s.factor);
      if (key > 0) h_.steps.scale(h_.value_width, s.factor, s.y);
      multiply_values(s, key, keys, packed, key > 0);
    }
    h_.steps.invert(s.sum, s.factor);
    h_.steps.scale(h_.value_width, s.factor, s.y);
    h_.products.pack_columns(s.y, h_.panel, count, h_.value_width, s.rows);
    y_.store(values, n, head, first, count, h_.value_width, s.rows, h_.value_width);
  }

  // y = or += the values of `keys` keys, of `packed` that were packed together, times their weights.
  void multiply_values(const Scratch& s, int64_t key, int64_t keys, int64_t packed, bool add) const {
    const float* piece = s.v + key * h_.value_width_rows;
    for (int64_t i = 0; i < h_.value_width; i += h_.products.rows) {
      h_.products.run(std::min(h_.products.rows, h_.value_width - i), keys, piece + i * packed, s.scores,
                      s.y + i * h_.panel, h_.panel, add);
    }
  }

  Heads h_;
  Tensor4 y_;
};

// A task is a head of keys: the gradients of its keys and values add up over all its queries in one thread.
class AttentionGradient {
 public:
  AttentionGradient(const Program& program, const NodeView& node)
      : h_(program, node, 5),
        y_(program, node.inputs()[3]),
        dy_(program, node.inputs()[4]),
        dq_(program, node.outputs()[0]),
        dk_(program, node.outputs()[1]),
        dv_(program, node.outputs()[2]),
        width_columns_(round_up(h_.width, h_.panel)),
        value_columns_(round_up(h_.value_width, h_.panel)) {}

  void run(void* const* values) const {
    parallel_for(h_.batch * h_.key_heads, 1, [&](int64_t begin, int64_t end) {
      Scratch s{h_, width_columns_, value_columns_};
      carve(s);
      for (int64_t task = begin; task < end; ++task) {
        const int64_t n = task / h_.key_heads, key_head = task % h_.key_heads;
        const MatrixView k = h_.k.matrix(values, n, key_head);
        h_.products.pack_left(k.transposed(), h_.width, h_.keys, s.k);
        h_.products.pack_left(k, h_.keys, h_.width, s.k_features);
        h_.products.pack_left(h_.v.matrix(values, n, key_head).transposed(), h_.value_width, h_.keys, s.v);
        std::fill_n(s.dk, h_.keys * width_columns_, 0.0f);
        std::fill_n(s.dv, h_.keys * value_columns_, 0.0f);
        for (int64_t head = key_head * h_.group; head < (key_head + 1) * h_.group; ++head) {
          for (int64_t first = 0; first < h_.queries; first += h_.panel) run_panel(s, values, n, head, first);
        }
        if (values[dk_.value]) dk_.store(values, n, key_head, 0, h_.keys, h_.width, s.dk, width_columns_);
        if (values[dv_.value]) dv_.store(values, n, key_head, 0, h_.keys, h_.value_width, s.dv, value_columns_);
      }
    });
  }

 private:
  struct Scratch {
    const Heads& h;
    int64_t width_columns, value_columns;
    float *k{}, *k_features{}, *v{};         // packed, in rows of keys, of features, of keys
    float *dk{}, *dv{};                      // [key][features, padded]
    float *q{}, *y{}, *dy{};                 // [feature][query]
    float *q_rows{}, *dy_rows{};             // right operands, rows of queries
    float *weights{}, *scores{}, *packed{};  // [key][query]; packed: in rows of keys
    float *dq{}, *rows{}, *top{}, *sum{}, *factor{};
    void lay(Carver& c) {
      k = c.take(h.key_rows * h.width), k_features = c.take(h.keys * h.width_rows);
      v = c.take(h.key_rows * h.value_width);
      dk = c.take(h.keys * width_columns), dv = c.take(h.keys * value_columns);
      q = c.take(h.width * h.panel), y = c.take(h.value_width * h.panel), dy = c.take(h.value_width * h.panel);
      q_rows = c.take(h.panel * width_columns), dy_rows = c.take(h.panel * value_columns);
      weights = c.take(h.keys * h.panel), scores = c.take(h.keys * h.panel), packed = c.take(h.key_rows * h.panel);
      dq = c.take(h.width_rows * h.panel), rows = c.take(h.panel * h.width);
      top = c.take(h.panel), sum = c.take(h.panel), factor = c.take(h.panel);
    }
  };

  void run_panel(const Scratch& s, void* const* values, int64_t n, int64_t head, int64_t first) const {
    const int64_t count = std::min(h_.panel, h_.queries - first), keys = h_.visible(first, count);
    if (keys == 0) std::fill_n(s.dq, h_.width * h_.panel, 0.0f);
    else add_panel(s, values, n, head, first, count, keys);
    if (!values[dq_.value]) return;
    h_.products.pack_columns(s.dq, h_.panel, count, h_.width, s.rows);
    dq_.store(values, n, head, first, count, h_.width, s.rows, h_.width);
  }

  void add_panel(const Scratch& s, void* const* values, int64_t n, int64_t head, int64_t first, int64_t count,
                 int64_t keys) const {
    const MatrixView q = h_.q.matrix(values, n, head, first), dy = dy_.matrix(values, n, head, first);
    // The probabilities again.
    h_.pack_positions(q, count, h_.width, s.q);
    h_.products.scale(h_.width * h_.panel, h_.scale, s.q);
    h_.multiply(keys, h_.width, s.k, s.q, s.weights, false);
    h_.hide(values, n, head, first, count, 0, keys, s.weights);
    std::fill_n(s.top, h_.panel, -std::numeric_limits<float>::infinity());
    std::fill_n(s.sum, h_.panel, 0.0f);
    h_.steps.weigh(keys, s.weights, s.top, s.sum, s.factor);
    h_.steps.invert(s.sum, s.factor);
    h_.steps.scale(keys, s.factor, s.weights);
    // Their gradients, and those of the scores.
    h_.pack_positions(dy, count, h_.value_width, s.dy);
    h_.pack_positions(y_.matrix(values, n, head, first), count, h_.value_width, s.y);
    h_.multiply(keys, h_.value_width, s.v, s.dy, s.scores, false);
    h_.steps.dot(h_.value_width, s.y, s.dy, s.sum);
    h_.steps.score_gradient(keys, h_.scale, s.weights, s.sum, s.scores);
    // dq = ds k, dv += p^T dy, dk += ds^T q
    for (int64_t i = 0; i < h_.width; i += h_.products.rows) {
      h_.products.run(std::min(h_.products.rows, h_.width - i), keys, s.k_features + i * h_.keys, s.scores,
                      s.dq + i * h_.panel, h_.panel, false);
    }
    h_.products.pack_right(dy, count, h_.value_width, s.dy_rows);
    add_outer(s.weights, keys, count, s.packed, s.dy_rows, value_columns_, s.dv);
    h_.products.pack_right(q, count, h_.width, s.q_rows);
    add_outer(s.scores, keys, count, s.packed, s.q_rows, width_columns_, s.dk);
  }

  // sums [key][columns] += left^T right, of left [key][query] and packed right [panel of columns][query].
  void add_outer(const float* left, int64_t keys, int64_t count, float* packed, const float* right, int64_t columns,
                 float* sums) const {
    h_.products.pack_left({left, f32, 1, h_.panel}, count, keys, packed);
    for (int64_t j = 0; j < columns; j += h_.panel) {
      for (int64_t i = 0; i < keys; i += h_.products.rows) {
        h_.products.run(std::min(h_.products.rows, keys - i), count, packed + i * count, right + j * count,
                        sums + i * columns + j, columns, true);
      }
    }
  }

  Heads h_;
  Tensor4 y_, dy_, dq_, dk_, dv_;
  int64_t width_columns_, value_columns_;
};

Run prepare_attention(const Program& program, const NodeView& node) {
  return [attention = Attention(program, node)](void* const* values) { attention.run(values); };
}
Run prepare_attention_gradient(const Program& program, const NodeView& node) {
  return [gradient = AttentionGradient(program, node)](void* const* values) { gradient.run(values); };
}

double flops_of_attention(const Program& program, const NodeView& node) {
  return Heads(program, node, 3).products_of(2.0);
}
double flops_of_gradient(const Program& program, const NodeView& node) {
  return Heads(program, node, 5).products_of(5.0);
}

// Results with the features of all heads side by side: so the layer behind reads them as rows.
void ask_layouts(const Program& program, const NodeView& node, TrmAnswer& answer) {
  Heads(program, node, node.op() == "attention" ? 3 : 5);  // throws where the op is not taken
  const AxisOrder heads_inside = {0, 2, 1, 3};
  for (uint32_t i = program.input_count(); i < program.operand_count(); ++i) {
    if (!is_dense_in(program.operand(i), heads_inside)) ask_order(program, i, heads_inside, answer);
  }
}

constexpr DTypeSet kTypes = only(f32) | only(f16) | only(bf16);
constexpr KernelEntry kTable[] = {
    {"attention", kTypes, false, prepare_attention, flops_of_attention, 0.0, nullptr, ask_layouts},
    {"attention_gradient", kTypes, false, prepare_attention_gradient, flops_of_gradient, 0.0, nullptr, ask_layouts},
};

}  // namespace

std::span<const KernelEntry> attention_kernels() { return kTable; }

}  // namespace trireme::cpu
