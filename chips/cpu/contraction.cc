// dot_general: batched matrix products.
#include <algorithm>
#include <memory>
#include <string>

#include "chips/cpu/channels_last.h"
#include "chips/cpu/choice.h"
#include "chips/cpu/epilogue.h"
#include "chips/cpu/gemm.h"
#include "chips/cpu/kernel.h"
#include "chips/cpu/tile_float.h"

namespace trireme::cpu {
namespace {

// Multiplications; fewer take so little time that choosing a way to make them would not pay.
constexpr int64_t kWorthChoosing = 1 << 22;

struct Product {
  uint32_t in_a, in_b, out;  // values
  DType type;
  int64_t batch, m, n, k;
  Strides a, b;                                  // [batch, row, column]
  int64_t parts = 1;                             // slices of k summed in order, for small results of long sums
  bool packed = false;                           // b is known and packed ahead
  bool thin_rows = false, thin_columns = false;  // too few rows or columns to pack for

  void plan(const TrmValue& w) {
    packed = w.known && batch > 0 && (batch == 1 || b[0] == 0) && k > 0;
    // Few blocks and a long sum: cut the sum, at places that depend on the sizes only.
    const int64_t blocks = batch * ((m + 47) / 48) * ((n + 127) / 128);
    if (blocks < 8 && k >= 4 * kInner) parts = std::min<int64_t>(16, k / (2 * kInner));
    const bool plain = parts == 1 && !packed && register_type(type) == type;
    thin_rows = plain && m <= 4;
    thin_columns = plain && !thin_rows && n <= 4;
  }
};

Product product_of(const Program& program, const NodeView& node) {
  const TrmValue a = program.value(node.inputs()[0]), b = program.value(node.inputs()[1]);
  Product p{node.inputs()[0], node.inputs()[1], node.outputs()[0], dtype_of(a), a.dims[0],
            a.dims[1],        b.dims[2],        a.dims[2],         {},          {}};
  std::copy_n(a.strides, 3, p.a.begin());
  std::copy_n(b.strides, 3, p.b.begin());
  p.plan(b);
  return p;
}

template <class T>
class FloatProduct {
 public:
  FloatProduct(const Product& p, const TrmValue& w, std::shared_ptr<const Epilogue> epilogue)
      : kernel_(micro_kernel<T>(p.type)), p_(p), epilogue_(std::move(epilogue)) {
    if (p_.packed) {
      packed_ = std::make_shared<PackedMatrix<T>>(kernel_, PackedMatrix<T>::Side::kRight,
                                                  matrix(w.constant_data, p_.b, 0), p_.k, p_.n);
    }
    if (epilogue_) p_.out = epilogue_->target();
    in_place_ = register_type(p_.type) == p_.type && p_.out != TRM_ABSENT;
    // Pieces of C: enough for the threads, cut where packing the operands again costs least.
    const double flops = 2.0 * static_cast<double>(p_.m) * static_cast<double>(p_.n) * static_cast<double>(p_.k);
    const auto threads = static_cast<int64_t>(host->threads());
    int64_t pieces =
        threads == 1 ? 1 : (2 * threads + p_.batch * p_.parts - 1) / std::max<int64_t>(1, p_.batch * p_.parts);
    pieces = std::clamp<int64_t>(static_cast<int64_t>(flops / 2e6), 1, std::max<int64_t>(1, pieces));
    double best = 1e300;
    for (int64_t rows = 1; rows <= pieces; ++rows) {
      const int64_t columns = (pieces + rows - 1) / rows;
      const double cost =
          static_cast<double>(rows) * static_cast<double>(packed_ ? 0 : p_.n) + static_cast<double>(columns * p_.m) +
          1e9 * ((rows > 1 && p_.m / rows < kernel_.rows) || (columns > 1 && p_.n / columns < kernel_.columns));
      if (cost < best) best = cost, row_pieces_ = rows, column_pieces_ = columns;
    }
  }

  void run(void* const* values) const {
    const void* a = values[p_.in_a];
    const void* b = values[p_.in_b];
    auto* c = p_.out == TRM_ABSENT ? nullptr : static_cast<std::byte*>(values[p_.out]);
    const int64_t size = p_.m * p_.n;
    if (size == 0 || p_.batch == 0) return;
    if (p_.k == 0) {
      std::fill_n(c, p_.batch * size * static_cast<int64_t>(size_of(p_.type)), std::byte{0});
      return;
    }
    if (p_.thin_rows) {
      return run_thin({p_.m, p_.n, p_.a, p_.b, p_.n, 1}, static_cast<const T*>(a), static_cast<const T*>(b),
                      reinterpret_cast<T*>(c));
    }
    if (p_.thin_columns) {  // the transposed product
      return run_thin({p_.n, p_.m, {p_.b[0], p_.b[2], p_.b[1]}, {p_.a[0], p_.a[2], p_.a[1]}, 1, p_.n},
                      static_cast<const T*>(b), static_cast<const T*>(a), reinterpret_cast<T*>(c));
    }
    const int64_t row_step = round_up((p_.m + row_pieces_ - 1) / row_pieces_, kernel_.rows);
    const int64_t column_step = round_up((p_.n + column_pieces_ - 1) / column_pieces_, kernel_.columns);
    const int64_t pieces = row_pieces_ * column_pieces_;
    std::vector<T> partial(p_.parts > 1 ? static_cast<size_t>(p_.parts * p_.batch * size) : 0);
    const double flops =
        2.0 * static_cast<double>(size) * static_cast<double>(p_.k) / static_cast<double>(pieces * p_.parts);
    const auto grain = static_cast<int64_t>(5e5 / std::max(1.0, flops)) + 1;
    parallel_for(p_.batch * p_.parts * pieces, grain, [&](int64_t begin, int64_t end) {
      Epilogue::Session session;
      if (epilogue_) session = epilogue_->begin(values);
      for (int64_t task = begin; task < end; ++task) {
        const int64_t piece = task % pieces, part = task / pieces % p_.parts, batch = task / pieces / p_.parts;
        const int64_t row = piece / column_pieces_ * row_step, column = piece % column_pieces_ * column_step;
        const int64_t rows = std::min(row_step, p_.m - row), columns = std::min(column_step, p_.n - column);
        if (rows <= 0 || columns <= 0) continue;
        const int64_t slices = (p_.k + kInner - 1) / kInner;
        const int64_t from = slices * part / p_.parts * kInner;
        const int64_t to = std::min(p_.k, slices * (part + 1) / p_.parts * kInner);
        const int64_t at = batch * size + row * p_.n + column;
        if (p_.parts > 1) {
          multiply(a, b, batch, row, rows, column, columns, from, to, partial.data() + part * p_.batch * size + at,
                   p_.n, [](int64_t, int64_t, int64_t, int64_t) {});
          continue;
        }
        T* target = reinterpret_cast<T*>(c) + at;
        int64_t stride = p_.n;
        if (!in_place_) {
          target = reinterpret_cast<T*>(thread_scratch(kBlockScratch, static_cast<size_t>(rows * columns) * sizeof(T)));
          stride = columns;
        }
        multiply(a, b, batch, row, rows, column, columns, from, to, target, stride,
                 [&](int64_t first_row, int64_t row_count, int64_t first_column, int64_t count) {
                   if (in_place_ && !epilogue_) return;
                   for (int64_t r = first_row; r < first_row + row_count; ++r) {
                     const T* done = target + r * stride + first_column;
                     if (epilogue_) {
                       epilogue_->run(session, batch * p_.m + row + r, column + first_column, count,
                                      in_place_ ? nullptr : done);
                     } else {
                       store_run(c, at + r * p_.n + first_column, done, count);
                     }
                   }
                 });
      }
    });
    if (p_.parts == 1) return;
    const int64_t total = p_.batch * size;
    parallel_for(total, kGrainElements / p_.parts, [&](int64_t begin, int64_t end) {
      for (int64_t part = 1; part < p_.parts; ++part) {
        for (int64_t i = begin; i < end; ++i)
          partial[static_cast<size_t>(i)] += partial[static_cast<size_t>(part * total + i)];
      }
      store_run(c, begin, partial.data() + begin, end - begin);
    });
  }

 private:
  MatrixView matrix(const void* memory, const Strides& strides, int64_t batch) const {
    const int64_t offset = batch * strides[0] * static_cast<int64_t>(size_of(p_.type));
    return {static_cast<const std::byte*>(memory) + offset, p_.type, strides[1], strides[2]};
  }
  void store_run(std::byte* c, int64_t at, const T* values, int64_t count) const {
    if constexpr (std::is_same_v<T, float>) {
      if (p_.type != f32) return store_half_floats(c + at * 2, values, static_cast<size_t>(count), p_.type == bf16);
    }
    std::copy_n(values, count, reinterpret_cast<T*>(c) + at);
  }

  template <class Done>
  void multiply(const void* a, const void* b, int64_t batch, int64_t row, int64_t rows, int64_t column, int64_t columns,
                int64_t from, int64_t to, T* c, int64_t c_stride, const Done& done) const {
    const MatrixView left = matrix(a, p_.a, batch).at(row, from).transposed();
    const MatrixView right = matrix(b, p_.b, batch).at(from, column);
    const auto a_source = [&](int64_t r, int64_t count, int64_t p, int64_t inner) {
      auto* panels = reinterpret_cast<T*>(
          thread_scratch(kPackScratchA, static_cast<size_t>((kBlockRows + kernel_.rows) * kInner) * sizeof(T)));
      kernel_.pack_left(left.at(p, r), inner, count, panels);
      return static_cast<const T*>(panels);
    };
    const auto b_source = [&](int64_t s, int64_t count, int64_t p, int64_t inner) {
      if (packed_) return packed_->slice(from + p, column + s);
      auto* panels = reinterpret_cast<T*>(
          thread_scratch(kPackScratchB, static_cast<size_t>((kBlockColumns + kernel_.columns) * kInner) * sizeof(T)));
      kernel_.pack_right(right.at(p, s), inner, count, panels);
      return static_cast<const T*>(panels);
    };
    multiply_blocks(kernel_, rows, columns, to - from, a_source, b_source, c, c_stride, done);
  }

  // A few rows times a matrix: nothing is worth packing. With columns of b contiguous, dot products; else sums of rows.
  struct Thin {
    int64_t rows, columns;
    Strides a, b;             // [batch, row, column]
    int64_t c_row, c_column;  // strides
  };
  void run_thin(const Thin& t, const T* a, const T* b, T* c) const {
    constexpr int64_t kColumns = 512;
    const int64_t pieces = (t.columns + kColumns - 1) / kColumns;
    const int64_t work = t.rows * p_.k * std::min(kColumns, t.columns) / 4;
    parallel_for(p_.batch * pieces, grain_for(work), [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t batch = task / pieces, column = task % pieces * kColumns;
        const int64_t columns = std::min(kColumns, t.columns - column);
        const T* left = a + batch * t.a[0];
        const T* right = b + batch * t.b[0] + column * t.b[2];
        T* target = c + batch * p_.m * p_.n + column * t.c_column;
        if (t.b[1] == 1 && (t.b[2] != 1 || columns == 1)) dot_columns(t, left, right, columns, target);
        else sum_rows(t, left, right, columns, target);
      }
    });
  }
  void dot_columns(const Thin& t, const T* a, const T* b, int64_t columns, T* c) const {
    for (int64_t row = 0; row < t.rows; ++row) {
      const T* x = a + row * t.a[1];
      if (t.a[2] != 1) {
        auto* dense = reinterpret_cast<T*>(thread_scratch(kPackScratchA, static_cast<size_t>(p_.k) * sizeof(T)));
        for (int64_t i = 0; i < p_.k; ++i) dense[i] = x[i * t.a[2]];
        x = dense;
      }
      for (int64_t j = 0; j < columns; ++j) c[row * t.c_row + j * t.c_column] = kernel_.dot(p_.k, x, b + j * t.b[2]);
    }
  }
  void sum_rows(const Thin& t, const T* a, const T* b, int64_t columns, T* c) const {
    constexpr int64_t kRows = 64;
    auto* sums = reinterpret_cast<T*>(thread_scratch(kPackScratchA, static_cast<size_t>(t.rows * columns) * sizeof(T)));
    std::fill_n(sums, t.rows * columns, T{0});
    for (int64_t p = 0; p < p_.k; p += kRows) {
      const int64_t here = std::min(kRows, p_.k - p);
      const T* rows = b + p * t.b[1];
      int64_t stride = t.b[1];
      if (t.b[2] != 1) {
        auto* dense =
            reinterpret_cast<T*>(thread_scratch(kPackScratchB, static_cast<size_t>(kRows * columns) * sizeof(T)));
        for (int64_t i = 0; i < here; ++i) {
          for (int64_t j = 0; j < columns; ++j) dense[i * columns + j] = rows[i * t.b[1] + j * t.b[2]];
        }
        rows = dense;
        stride = columns;
      }
      for (int64_t row = 0; row < t.rows; ++row) {
        kernel_.row_times(here, columns, a + row * t.a[1] + p * t.a[2], t.a[2], rows, stride, sums + row * columns);
      }
    }
    for (int64_t row = 0; row < t.rows; ++row) {
      for (int64_t j = 0; j < columns; ++j) c[row * t.c_row + j * t.c_column] = sums[row * columns + j];
    }
  }

  const MicroKernel<T>& kernel_;
  Product p_;
  std::shared_ptr<PackedMatrix<T>> packed_;
  std::shared_ptr<const Epilogue> epilogue_;
  bool in_place_;  // the product goes straight to memory
  int64_t row_pieces_ = 1, column_pieces_ = 1;
};

// Integers wrap, so they may be multiplied as unsigned in any order.
template <class U>
void multiply_integers(const Product& p, const U* a, const U* b, U* c) {
  using Wide = std::conditional_t<(sizeof(U) < 4), uint32_t, U>;  // small types would multiply as signed int
  parallel_for(p.batch * p.m, grain_for(p.n * p.k), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t batch = i / p.m, row = i % p.m;
      U* target = c + i * p.n;
      std::fill_n(target, p.n, U{0});
      for (int64_t k = 0; k < p.k; ++k) {
        const Wide x = a[batch * p.a[0] + row * p.a[1] + k * p.a[2]];
        const U* y = b + batch * p.b[0] + k * p.b[1];
        if (p.b[2] == 1) {
          for (int64_t j = 0; j < p.n; ++j) target[j] = static_cast<U>(target[j] + x * y[j]);
        } else {
          for (int64_t j = 0; j < p.n; ++j) target[j] = static_cast<U>(target[j] + x * y[j * p.b[2]]);
        }
      }
    }
  });
}

Run prepare_blocks(const Program& program, const NodeView& node) {
  const Product p = product_of(program, node);
  const TrmValue b = program.value(p.in_b);
  auto epilogue = Epilogue::of(program, node.number());
  if (p.type == f64) {
    return [product = FloatProduct<double>(p, b, std::move(epilogue))](void* const* values) { product.run(values); };
  }
  return [product = FloatProduct<float>(p, b, std::move(epilogue))](void* const* values) { product.run(values); };
}

// Whether the product in blocks does the program, with the bits of that on rows in place: sums are cut at the same
// places, but what is multiplied and added to them would be rounded otherwise.
bool blocks_do_too(const Program& program, const NodeView& node) {
  int additions = 0;
  for (uint32_t n = 0; n < program.node_count(); ++n) {
    const std::string_view op = program.node(n).op();
    if (op == "mul" || op == "sub") return false;
    additions += op == "add";
  }
  const Product p = product_of(program, node);
  if (additions > 1 || p.parts > 1 || p.thin_rows || p.thin_columns || p.m * p.n * p.k < kWorthChoosing) return false;
  try {
    Epilogue::of(program, node.number());
  } catch (const Failure&) {
    return false;
  }
  return true;
}

Run prepare_dot_general(const Program& program, const NodeView& node) {
  const Product p = product_of(program, node);
  if (runs_channels_last(program, node)) {
    std::vector<Way> ways = {{"rows in place", [&] { return prepare_channels_last(program, node); }}};
    if (blocks_do_too(program, node)) {
      ways.push_back({"blocks", [&] { return prepare_blocks(program, node); }});
    }
    std::string key = "product " + std::string(name(p.type)) + " " + std::to_string(p.batch * p.m) + "x" +
                      std::to_string(p.n) + "x" + std::to_string(p.k);
    for (uint32_t n = 0; n < program.node_count(); ++n) {
      if (n != node.number()) key += " " + std::string(program.node(n).op());
    }
    return fastest_of(program, key, ways);
  }
  if (is_float(p.type)) return prepare_blocks(program, node);
  const auto integers = [&]<class U>() -> Run {
    return [p](void* const* v) {
      multiply_integers(p, static_cast<const U*>(v[p.in_a]), static_cast<const U*>(v[p.in_b]),
                        static_cast<U*>(v[p.out]));
    };
  };
  switch (size_of(p.type)) {
    case 1: return integers.operator()<uint8_t>();
    case 2: return integers.operator()<uint16_t>();
    case 4: return integers.operator()<uint32_t>();
    default: return integers.operator()<uint64_t>();
  }
}

double flops_of_product(const Program& program, const NodeView& node) {
  const TrmValue a = program.value(node.inputs()[0]), b = program.value(node.inputs()[1]);
  return 2.0 * static_cast<double>(chip::elements(a)) * static_cast<double>(b.dims[2]);
}

void check_epilogue(const Program& program, const NodeView& node) {
  if (runs_channels_last(program, node)) return check_channels_last(program, node);
  const Product p = product_of(program, node);
  if (!is_float(p.type) || p.k == 0) throw Failure(TRM_UNSUPPORTED, "a product of this kind has no epilogue");
  if (p.parts > 1 || p.thin_rows || p.thin_columns) {
    throw Failure(TRM_UNSUPPORTED, "a product too small or too long for an epilogue");
  }
  Epilogue::of(program, node.number());
}

void ask_layouts(const Program& program, const NodeView& node, TrmAnswer& answer) {
  if (runs_channels_last(program, node)) ask_channels_last(program, node, answer);
  else ask_dense_outputs(program, answer);
}

constexpr KernelEntry kTable[] = {
    {"dot_general", numbers, false, prepare_dot_general, flops_of_product, 0.0, check_epilogue, ask_layouts}};

}  // namespace

std::span<const KernelEntry> contraction_kernels() { return kTable; }

}  // namespace trireme::cpu
