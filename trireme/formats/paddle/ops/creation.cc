// Values out of attributes, and what a value's type says: constants, casts, shapes.
#include <cstdlib>

#include "trireme/base/strings.h"
#include "trireme/formats/paddle/call.h"

namespace trireme::formats::paddle {

namespace {

void identity(Call& c) { c.result(c.x("X")); }
void assign(Call& c) {
  if (c.has("X")) identity(c);
}
void cast(Call& c) {
  const Value x = c.x("X");
  c.result(ops::as_type(x, c.type("out_dtype", x.dtype())));
}

void shape(Call& c) {
  const Ints sizes = c.x("Input").shape().vector();
  c.result(ops::convert(int64s(sizes), i32));
}
void size(Call& c) { c.result(ops::constant(Literal::scalar<int64_t>(c.x("Input").shape().elements()))); }

// The number: a tensor, a text ("inf", "1e-5"), or an attribute.
double fill_value(Call& c) {
  if (c.has("ValueTensor")) return c.known_numbers("ValueTensor").at(0);
  const std::string text = c.string("str_value", "");
  if (text.empty()) return c.number("value", 0.0);
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  c.require(*end == 0, cat("str_value '", text, "' is no number"));
  return value;
}

void fill_constant(Call& c) {
  const Ints sizes = c.sizes("ShapeTensor", "ShapeTensorList", "shape");
  c.result(ops::filled(c.type("dtype", f32), Shape(sizes), fill_value(c)));
}
void fill(Call& c) { c.result(ops::filled(c.type("dtype", f32), Shape(c.integers("shape")), c.number("value", 0.0))); }
// Any values will do.
void empty(Call& c) {
  c.result(ops::filled(c.type("dtype", f32), Shape(c.sizes("ShapeTensor", "ShapeTensorList", "shape")), 0.0));
}
void fill_like(Call& c) {
  const Value x = c.x("X");
  c.result(ops::filled(c.type("dtype", x.dtype()), x.shape(), c.number("value", 0.0)));
}
// The shape of the attribute with one size of the input's.
void fill_batch_size_like(Call& c) {
  const Shape& like = c.x("Input").shape();
  Ints sizes = c.integers("shape");
  const int64_t from = c.axis(c.integer("input_dim_idx", 0), like.rank()),
                to = c.axis(c.integer("output_dim_idx", 0), static_cast<int64_t>(sizes.size()));
  sizes[static_cast<size_t>(to)] = like[static_cast<int>(from)];
  c.result(ops::filled(c.type("dtype", f32), Shape(sizes), fill_value(c)));
}

void assign_value(Call& c) { c.result(c.values(c.type("dtype", i64))); }

double one_number(Call& c, std::string_view parameter) {
  const std::vector<double> list = c.known_numbers(parameter);
  c.require(list.size() == 1, cat("input '", parameter, "' must have one element; it has ", list.size()));
  return list[0];
}
constexpr double kMost = 1 << 26;  // elements made from numbers in a tensor

void range(Call& c) {
  const double start = one_number(c, "Start"), end = one_number(c, "End"), step = one_number(c, "Step");
  c.require(step != 0.0, "Step is 0");
  const double count = std::max(std::ceil((end - start) / step), 0.0);
  c.require(count <= kMost, cat("a range of ", count, " elements"));
  const DType type = c.x("Start").dtype();
  const Value places = ops::iota({static_cast<int64_t>(count)}, is_float(type) ? f64 : i64, 0);
  c.result(ops::as_type(places * step + start, type));
}
void linspace(Call& c) {
  const double start = one_number(c, "Start"), stop = one_number(c, "Stop"), count = one_number(c, "Num");
  c.require(count >= 1 && count <= kMost, cat("Num is ", count));
  c.result(ops::linspace(start, stop, static_cast<int64_t>(count), c.type("dtype", f32)));
}

void eye(Call& c) {
  const int64_t rows = c.integer("num_rows", 0), columns = c.integer("num_columns", -1);
  c.result(ops::eye(rows, columns < 0 ? rows : columns, 0, c.type("dtype", f32)));
}

// Older: the last axis of X has size 1 and becomes the classes.
void one_hot_of(Call& c, bool last_axis) {
  Value x = c.x("X");
  const int rank = x.shape().rank();
  if (last_axis && rank > 0 && x.shape()[rank - 1] == 1) x = ops::reshape(x, x.shape().without(rank - 1).vector());
  const int64_t depth = c.size("depth_tensor", "depth", 0);
  c.require(depth >= 1 && depth <= 1 << 26, cat("depth is ", depth));
  c.result(ops::one_hot(x, depth, c.type("dtype", f32)));
}
void one_hot(Call& c) { one_hot_of(c, true); }
void one_hot_v2(Call& c) { one_hot_of(c, false); }

}  // namespace

std::span<const Mapping> creation_mappings() {
  static constexpr Mapping table[] = {
      {"assign", assign},
      {"assign_value", assign_value},
      {"cast", cast},
      {"empty", empty},
      {"eye", eye},
      {"fill", fill},
      {"fill_any_like", fill_like},
      {"fill_constant", fill_constant},
      {"fill_constant_batch_size_like", fill_batch_size_like},
      {"fill_zeros_like", fill_like},
      {"linspace", linspace},
      {"memcpy", identity},
      {"one_hot", one_hot},
      {"one_hot_v2", one_hot_v2},
      {"range", range},
      {"shape", shape},
      {"share_data", identity},
      {"size", size},
  };
  return table;
}

}  // namespace trireme::formats::paddle
