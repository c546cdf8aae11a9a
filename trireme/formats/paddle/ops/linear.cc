// Products of matrices.
#include "trireme/base/strings.h"
#include "trireme/formats/paddle/call.h"

namespace trireme::formats::paddle {

namespace {

Value turned(const Value& x, bool turn) {
  const int rank = x.shape().rank();
  return turn && rank >= 2 ? ops::swap_axes(x, rank - 2, rank - 1) : x;
}

void matmul_old(Call& c) {
  const Value y = ops::matmul(turned(c.x("X"), c.flag("transpose_X")), turned(c.x("Y"), c.flag("transpose_Y")));
  const double alpha = c.number("alpha", 1.0);
  c.result(alpha == 1.0 ? y : y * alpha);
}
void matmul(Call& c) {
  c.result(ops::matmul(turned(c.x("X"), c.flag("trans_x")), turned(c.x("Y"), c.flag("trans_y"))));
}
void bmm(Call& c) { c.result(ops::matmul(c.x("X"), c.x("Y"))); }

void addmm(Call& c) {
  const Value product = ops::matmul(c.x("X"), c.x("Y"));
  const double alpha = c.number("Alpha", 1.0), beta = c.number("Beta", 1.0);
  c.result(product * alpha + broadcast(c.x("Input"), product.shape()) * beta);
}

// The first `columns` axes as rows, the others as columns.
Value matrix(Call& c, const Value& x, int64_t columns) {
  const Shape& shape = x.shape();
  c.require(columns >= 1 && columns < shape.rank(), cat(columns, " leading axes of ", shape));
  const int64_t rows = Shape(shape.sizes().first(static_cast<size_t>(columns))).elements();
  return ops::reshape(x, {rows, Shape(shape.sizes().subspan(static_cast<size_t>(columns))).elements()});
}

Ints joined(const Shape& x, int64_t x_axes, const Shape& y, int64_t y_axes) {
  Ints sizes(x.begin(), x.begin() + x_axes);
  sizes.insert(sizes.end(), y.begin() + y_axes, y.end());
  return sizes;
}

void mul(Call& c) {
  const Value x = c.x("X"), y = c.x("Y");
  const int64_t x_axes = c.integer("x_num_col_dims", 1), y_axes = c.integer("y_num_col_dims", 1);
  const Value product = ops::matmul(matrix(c, x, x_axes), matrix(c, y, y_axes));
  c.result(ops::reshape(product, joined(x.shape(), x_axes, y.shape(), y_axes)));
}

void fc(Call& c) {
  const Value x = c.x("Input"), w = c.x("W");
  const int64_t axes = c.integer("in_num_col_dims", 1);
  c.require(w.shape().rank() == 2, cat("W is ", w.shape(), "; it must be a matrix"));
  Value y = ops::matmul(matrix(c, x, axes), w);
  if (c.has("Bias")) y = y + broadcast(ops::reshape(c.x("Bias"), {w.shape()[1]}), y.shape());
  const std::string activation = c.string("activation_type", "");
  if (activation == "relu") y = ops::relu(y);
  else if (!activation.empty()) c.unsupported(cat("activation_type '", activation, "'; supported: relu"));
  c.result(ops::reshape(y, joined(x.shape(), axes, w.shape(), 1)));
}

}  // namespace

std::span<const Mapping> linear_mappings() {
  static constexpr Mapping table[] = {
      {"addmm", addmm}, {"bmm", bmm}, {"fc", fc}, {"matmul", matmul_old}, {"matmul_v2", matmul}, {"mul", mul},
  };
  return table;
}

}  // namespace trireme::formats::paddle
