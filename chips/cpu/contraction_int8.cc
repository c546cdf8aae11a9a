// integer_dot_general: products of quantised matrices, with the elementwise nodes around them.
#include <cstring>
#include <memory>
#include <vector>

#include "chips/cpu/kernel.h"
#include "chips/cpu/product_int8.h"

namespace trireme::cpu {
namespace {

class Int8Contraction {
 public:
  Int8Contraction(const Program& program, const NodeView& node)
      : x_(program.value(node.inputs()[0])),
        w_(program.value(node.inputs()[1])),
        in_x_(node.inputs()[0]),
        in_w_(node.inputs()[1]),
        kernel_(int8_kernel_for(w_)),
        form_{dtype_of(x_) == i8, static_cast<int32_t>(node.integer("x_zero_point"))},
        product_(kernel_, form_, {batch(), m(), w_.dims[2], k(), m(), 0}, Epilogue::of(program, node.number()),
                 node.outputs()[0], lines()) {
    shared_ = batch() == 1 || w_.strides[0] == 0;
    if (w_.known && shared_) packed_ = pack(w_.constant_data);
  }

  void run(void* const* values) const {
    const DenseInput dense(x_, values[in_x_]);
    const Packed now = packed_.empty() ? pack(values[in_w_]) : Packed{};
    product_.run(values, static_cast<const uint8_t*>(dense.data()), packed_.empty() ? now : packed_);
  }

 private:
  using Packed = std::vector<std::shared_ptr<const Int8Product::Weights>>;
  int64_t batch() const { return x_.dims[0]; }
  int64_t m() const { return x_.dims[1]; }
  int64_t k() const { return x_.dims[2]; }
  Int8Product::Lines lines() const {
    return [&kernel = kernel_, form = form_, m = m(), k = k()](const uint8_t* x, int64_t batch, int64_t row,
                                                               int64_t rows, int64_t p, int64_t inner, int32_t* panel) {
      pack_int8_lines(kernel, form, x + (batch * m + row) * k + p, k, inner, rows, kernel.rows, panel);
    };
  }
  Packed pack(const void* memory) const {
    Packed packed;
    for (int64_t b = 0; b < (shared_ ? 1 : batch()); ++b) {
      packed.push_back(
          product_.pack(static_cast<const int8_t*>(memory) + b * w_.strides[0], w_.strides[1], w_.strides[2]));
    }
    return packed;
  }

  TrmValue x_, w_;
  uint32_t in_x_, in_w_;
  const Int8Kernel& kernel_;
  XForm form_;
  Int8Product product_;
  bool shared_ = false;  // one matrix of weights for the whole batch
  Packed packed_;        // known weights
};

Run prepare_product(const Program& program, const NodeView& node) {
  const TrmValue x = program.value(node.inputs()[0]);
  if (x.dims[2] == 0) {  // nothing to sum
    return [out = node.outputs()[0], bytes = chip::elements(program.value(node.outputs()[0])) * 4](
               void* const* values) { std::memset(values[out], 0, static_cast<size_t>(bytes)); };
  }
  return [product = std::make_shared<Int8Contraction>(program, node)](void* const* values) { product->run(values); };
}

double flops_of_product(const Program& program, const NodeView& node) {
  // Counted as f32: four numbers in the place of one.
  return 0.5 * static_cast<double>(chip::elements(program.value(node.inputs()[0]))) *
         static_cast<double>(program.value(node.inputs()[1]).dims[2]);
}

void check_epilogue(const Program& program, const NodeView& node) {
  if (program.value(node.inputs()[0]).dims[2] == 0) throw Failure(TRM_UNSUPPORTED, "an empty sum has no epilogue");
  Epilogue::of(program, node.number());
}

constexpr KernelEntry kTable[] = {
    {"integer_dot_general", only(i8) | only(u8), false, prepare_product, flops_of_product, 0.0, check_epilogue}};

}  // namespace

std::span<const KernelEntry> int8_contraction_kernels() { return kTable; }

}  // namespace trireme::cpu
