// Products of tensors, convolutions and triangular systems.
#include <algorithm>

#include "trireme/base/strings.h"
#include "trireme/formats/stablehlo/call.h"

namespace trireme::formats::stablehlo {

namespace {

Ints joined(std::initializer_list<Ints> parts) {
  Ints out;
  for (const Ints& each : parts) out.insert(out.end(), each.begin(), each.end());
  return out;
}

// The sizes along axes, and their product.
Ints sizes_of(const Shape& shape, const Ints& axes) {
  Ints out;
  for (int64_t axis : axes) out.push_back(shape[static_cast<int>(axis)]);
  return out;
}
int64_t product(const Ints& sizes) {
  Wide out = 1;
  for (int64_t n : sizes) out = bounded(out * n);
  return static_cast<int64_t>(out);
}

// The type in which products are summed: as wide as operands and result. i1 counts, and any count above 0 is true.
DType working_type(const Call& c) {
  DType type = promote(promote(c.dtype(0), c.dtype(1)), c.result_dtype());
  return type == boolean ? i32 : type;
}
Value finished(const Call& c, const Value& sum) {
  return c.result_dtype() == boolean ? ops::compare(sum, 0.0, "ne") : ops::as_type(sum, c.result_dtype());
}

// The axes of an operand that are neither in `a` nor in `b`.
Ints others(int rank, const Ints& a, const Ints& b) {
  Ints out;
  for (int axis = 0; axis < rank; ++axis) {
    if (std::find(a.begin(), a.end(), axis) == a.end() && std::find(b.begin(), b.end(), axis) == b.end()) {
      out.push_back(axis);
    }
  }
  return out;
}

void contract(Call& c, const Ints& batch_x, const Ints& batch_w, const Ints& inner_x, const Ints& inner_w) {
  const std::pair<const Ints*, const Ints*> pairs[] = {{&batch_x, &batch_w}, {&inner_x, &inner_w}};
  for (const auto& [left, right] : pairs) {
    c.require(left->size() == right->size(), "the operands name different numbers of axes");
    for (size_t i = 0; i < left->size(); ++i) {
      const int64_t a = (*left)[i], b = (*right)[i];
      c.require(a >= 0 && a < c.rank(0) && b >= 0 && b < c.rank(1), "an axis is out of range");
      c.require(c.shape(0)[static_cast<int>(a)] == c.shape(1)[static_cast<int>(b)],
                cat("axis ", a, " of the first operand is not as long as axis ", b, " of the second"));
    }
  }
  const DType type = working_type(c);
  const Ints free_x = others(c.rank(0), batch_x, inner_x), free_w = others(c.rank(1), batch_w, inner_w);
  const Ints order_x = joined({batch_x, free_x, inner_x}), order_w = joined({batch_w, inner_w, free_w});
  c.require(static_cast<int>(order_x.size()) == c.rank(0) && static_cast<int>(order_w.size()) == c.rank(1),
            "an axis is named twice");
  const Ints batch = sizes_of(c.shape(0), batch_x), inner = sizes_of(c.shape(0), inner_x);
  const Ints rows = sizes_of(c.shape(0), free_x), columns = sizes_of(c.shape(1), free_w);
  const Value x = ops::reshape(ops::transpose(ops::as_type(c.x(0), type), order_x),
                               {product(batch), product(rows), product(inner)});
  const Value w = ops::reshape(ops::transpose(ops::as_type(c.x(1), type), order_w),
                               {product(batch), product(inner), product(columns)});
  c.result(finished(c, ops::reshape(ops::dot_general(x, w), joined({batch, rows, columns}))));
}

// batching_dims = [0] x [0], contracting_dims = [2] x [1], or one dictionary.
void dot_general(Call& c) {
  Ints lists[4];
  if (c.given("dot_dimension_numbers")) {
    static constexpr const char* names[] = {"lhs_batching_dimensions", "rhs_batching_dimensions",
                                            "lhs_contracting_dimensions", "rhs_contracting_dimensions"};
    const auto& fields = c.attribute("dot_dimension_numbers").fields;
    for (size_t i = 0; i < 4; ++i) {
      const auto at = fields.find(names[i]);
      if (at != fields.end()) lists[i] = c.as_integers(at->second);
    }
  } else {
    size_t i = 0;
    for (const char* name : {"batching_dims", "contracting_dims"}) {
      for (size_t side = 0; side < 2; ++side, ++i) {
        if (!c.given(name)) continue;
        const auto& pair = c.attribute(name).list;
        c.require(pair.size() == 2, cat(name, " is no [...] x [...]"));
        lists[i] = c.as_integers(pair[side]);
      }
    }
  }
  contract(c, lists[0], lists[1], lists[2], lists[3]);
}

void dot(Call& c) {
  c.require(c.rank(0) >= 1 && c.rank(0) <= 2 && c.rank(1) >= 1 && c.rank(1) <= 2, "takes vectors and matrices");
  contract(c, {}, {}, {c.rank(0) - 1}, {0});
}

// --- convolution ---

// One of the three lists of dimension numbers, "[b, 0, 1, f]": the axes of two letters, then of 0, 1, ...
Ints axes_of(const Call& c, const Attribute& list, std::string_view first, std::string_view second) {
  Ints out(list.list.size(), -1);
  for (size_t i = 0; i < list.list.size(); ++i) {
    const Attribute& each = list.list[i];
    int64_t place = each.text == first ? 0 : each.text == second ? 1 : -1;
    if (each.kind == Attribute::Kind::kInteger) place = each.integer + 2;
    c.require(place >= 0 && place < static_cast<int64_t>(out.size()) && out[static_cast<size_t>(place)] < 0,
              "the dimension numbers are no permutation");
    out[static_cast<size_t>(place)] = static_cast<int64_t>(i);
  }
  return out;
}

struct Window {
  Ints stride, low, high, dilation_x, dilation_w, reversal;
};

Window window_of(const Call& c, size_t axes) {
  const auto get = [&](const char* pretty, const char* generic, int64_t missing, size_t count) {
    Ints out(count, missing);
    if (c.given("window")) {
      const auto& fields = c.attribute("window").fields;
      const auto at = fields.find(pretty);
      if (at != fields.end()) out = c.as_integers(at->second);
    } else {
      out = c.integers(generic, out);
    }
    if (out.size() == 1 && count > 1) out.assign(count, out[0]);  // dense<1>
    c.require(out.size() == count, cat("'", generic, "' has ", out.size(), " entries; needed: ", count));
    return out;
  };
  Window out;
  out.stride = get("stride", "window_strides", 1, axes);
  out.dilation_x = get("lhs_dilate", "lhs_dilation", 1, axes);
  out.dilation_w = get("rhs_dilate", "rhs_dilation", 1, axes);
  out.reversal = get("reverse", "window_reversal", 0, axes);
  Ints padding = c.inputs() > 2 ? c.known_ints(2) : get("pad", "padding", 0, 2 * axes);
  c.require(padding.size() == 2 * axes, "the padding has not two entries per axis");
  for (size_t a = 0; a < axes; ++a) {
    out.low.push_back(padding[2 * a]);
    out.high.push_back(padding[2 * a + 1]);
    for (const Ints* list : {&out.stride, &out.dilation_x, &out.dilation_w}) {
      c.require((*list)[a] >= 1 && (*list)[a] <= kMaxElements, "strides and dilations are 1 or more");
    }
  }
  return out;
}

// Elements of a kernel for which the graph is written out.
constexpr int64_t kMaxTaps = 4096;

// Of integers, which the primitive lacks: a strided part of the padded image per element of the kernel, times the
// weights of that element, all summed. x [N, C, ...], w [O, C/groups, ...].
Value convolve_integers(const Value& x, const Value& w, const Window& window, int64_t groups, const Shape& result) {
  const int64_t batch = x.shape()[0], channels = x.shape()[1], filters = w.shape()[0], places = result.elements();
  const size_t axes = window.stride.size();
  Value sum = ops::filled(x.dtype(), Shape{groups, batch * places, filters / groups}, 0.0);
  const Ints taps(w.shape().begin() + 2, w.shape().end());
  for_each_index(Shape(taps), [&](int64_t, const int64_t* offset) {
    Ints begin = {0, 0}, end = {batch, channels}, step = {1, 1}, w_begin = {0, 0}, w_end = {filters, w.shape()[1]};
    Ints order = {1, 0};
    for (size_t a = 0; a < axes; ++a) {
      begin.push_back(offset[a] * window.dilation_w[a]);
      end.push_back(begin.back() + (result[static_cast<int>(a)] - 1) * window.stride[a] + 1);
      step.push_back(window.stride[a]);
      w_begin.push_back(offset[a]);
      w_end.push_back(offset[a] + 1);
      order.push_back(static_cast<int64_t>(a) + 2);
    }
    const Value part = ops::reshape(ops::transpose(ops::slice(x, begin, end, step), order),
                                    {groups, channels / groups, batch * places});
    const Value weights =
        ops::reshape(ops::slice(w, w_begin, w_end, Ints(axes + 2, 1)), {groups, filters / groups, channels / groups});
    sum = sum + ops::dot_general(ops::transpose(part, {0, 2, 1}), ops::transpose(weights, {0, 2, 1}));
  });
  const Value out =
      ops::reshape(ops::transpose(ops::reshape(sum, {groups, batch, places, filters / groups}), {1, 0, 3, 2}),
                   joined({{batch, filters}, result.vector()}));
  return out;
}

void convolution(Call& c) {
  const Attribute& numbers = c.attribute(c.given("dim_numbers") ? "dim_numbers" : "dimension_numbers");
  c.require(numbers.list.size() == 3, "the dimension numbers are no [...]x[...]->[...]");
  const Ints of_x = axes_of(c, numbers.list[0], "b", "f"), of_w = axes_of(c, numbers.list[1], "o", "i");
  const Ints of_y = axes_of(c, numbers.list[2], "b", "f");
  c.require(static_cast<int>(of_x.size()) == c.rank(0) && static_cast<int>(of_w.size()) == c.rank(1) &&
                of_x.size() == of_w.size() && of_y.size() == of_x.size() && of_x.size() >= 2,
            "the ranks do not fit the dimension numbers");
  const size_t axes = of_x.size() - 2;
  if (axes > 3) c.unsupported(cat("a convolution along ", axes, " axes is not supported; along 3 it is"));
  const DType type = working_type(c);
  Value x = ops::transpose(ops::as_type(c.x(0), type), of_x), w = ops::transpose(ops::as_type(c.x(1), type), of_w);
  Window window = window_of(c, axes);
  const int64_t batches = c.integer("batch_group_count", 1);
  int64_t groups = c.integer("feature_group_count", 1);
  c.require(batches >= 1 && groups >= 1 && (batches == 1 || groups == 1), "the group counts are out of range");
  if (axes == 0) {  // one axis of size 1
    x = ops::unsqueeze(x, {2});
    w = ops::unsqueeze(w, {2});
    window = {{1}, {0}, {0}, {1}, {1}, {0}};
  }
  if (batches > 1) {  // part k of the batch meets part k of the filters: as groups of channels
    const Ints image(x.shape().begin() + 2, x.shape().end());
    c.require(x.shape()[0] % batches == 0 && w.shape()[0] % batches == 0, "the groups do not divide the batch");
    const int64_t n = x.shape()[0] / batches, channels = x.shape()[1];
    Ints order = ops::iota_axes(x.shape().rank() + 1);
    std::swap(order[0], order[1]);
    x = ops::reshape(ops::transpose(ops::reshape(x, joined({{batches, n, channels}, image})), order),
                     joined({{n, bounded(Wide{batches} * channels)}, image}));
    groups = batches;
  }
  c.require(x.shape()[1] == bounded(Wide{w.shape()[1]} * groups) && w.shape()[0] % groups == 0,
            "the channels of image and kernel do not fit the groups");
  Ints reversed, result;
  for (size_t a = 0; a < window.stride.size(); ++a) {
    if (window.reversal[a] != 0) reversed.push_back(static_cast<int64_t>(a) + 2);
    const Wide image = x.shape()[static_cast<int>(a) + 2], kernel = w.shape()[static_cast<int>(a) + 2];
    const Wide room = (image == 0 ? 0 : (image - 1) * window.dilation_x[a] + 1) + window.low[a] + window.high[a] -
                      (kernel == 0 ? 0 : (kernel - 1) * window.dilation_w[a] + 1);
    result.push_back(room < 0 ? 0 : bounded(room / window.stride[a] + 1));
  }
  if (!reversed.empty()) w = ops::reverse(w, reversed);
  const Ints full = joined({{x.shape()[0], w.shape()[0]}, result});
  Value y;
  if (Shape(full).elements() == 0 || x.shape().elements() == 0 || w.shape().elements() == 0) {
    y = ops::filled(type, Shape(full), 0.0);
  } else {
    const auto negative = [](int64_t n) { return n < 0; };
    const bool cuts = std::any_of(window.low.begin(), window.low.end(), negative) ||
                      std::any_of(window.high.begin(), window.high.end(), negative);
    if (cuts || !is_float(type)) {
      Ints interior = {0, 0};
      for (int64_t& n : window.dilation_x) interior.push_back(std::exchange(n, 1) - 1);
      x = pad_with(x, ops::scalar(type, 0.0), joined({{0, 0}, window.low}), joined({{0, 0}, window.high}), interior);
      window.low.assign(window.low.size(), 0);
      window.high = window.low;
    }
    if (!is_float(type) && product(Ints(w.shape().begin() + 2, w.shape().end())) > kMaxTaps) {
      c.unsupported(cat("a kernel of more than ", kMaxTaps, " integers is not supported"));
    }
    y = is_float(type) ? ops::convolution(x, w, window.stride, window.low, window.high, window.dilation_w,
                                          window.dilation_x, groups)
                       : convolve_integers(x, w, window, groups, Shape(result));
  }
  if (axes == 0) y = ops::squeeze(y, {2});
  c.result(finished(c, ops::transpose(y, ops::inverse_order(of_y))));
}

// --- triangular systems ---

// a y = b (or y a = b) for triangular a, by substitution.
void triangular_solve(Call& c) {
  constexpr int64_t kMaxRows = 256;  // each becomes a few nodes of the graph
  const int rank = c.rank(0);
  c.require(rank >= 2 && c.rank(1) == rank && is_float(c.dtype(0)), "takes two tensors of floats of rank 2 or more");
  const bool left = c.flag("left_side");
  bool lower = c.flag("lower");
  const bool unit = c.flag("unit_diagonal");
  const std::string mode = c.string("transpose_a");
  Ints order = ops::iota_axes(rank);
  std::swap(order[order.size() - 1], order[order.size() - 2]);
  Value a = ops::widen(c.x(0)), b = ops::widen(c.x(1));
  const bool turned = mode == "TRANSPOSE" || mode == "ADJOINT";
  // y a = b is a' y' = b'.
  if (turned == left) {
    a = ops::transpose(a, order);
    lower = !lower;
  }
  if (!left) b = ops::transpose(b, order);
  const int64_t rows = a.shape()[rank - 1];
  c.require(a.shape()[rank - 2] == rows && b.shape()[rank - 2] == rows, "the matrices do not fit");
  for (int axis = 0; axis + 2 < rank; ++axis) c.require(a.shape()[axis] == b.shape()[axis], "the batches do not fit");
  if (rows > kMaxRows) c.unsupported(cat("a system of more than ", kMaxRows, " rows is not supported"));
  std::vector<Value> solved(static_cast<size_t>(rows));
  for (int64_t k = 0; k < rows; ++k) {
    const int64_t i = lower ? k : rows - 1 - k;
    const Value column = ops::slice_axis(a, rank - 1, i, i + 1);
    Value here = ops::slice_axis(b, rank - 2, i, i + 1);
    if (!unit) here = here / ops::slice_axis(column, rank - 2, i, i + 1);
    solved[static_cast<size_t>(i)] = here;
    b = b - column * here;  // what is left of the rows that follow
  }
  Value y = rows == 0 ? b : ops::concat(solved, rank - 2);
  if (!left) y = ops::transpose(y, order);
  c.result(ops::as_type(y, c.dtype(0)));
}

constexpr Mapping kMappings[] = {
    {"stablehlo.convolution", convolution},           {"stablehlo.dot", dot},
    {"stablehlo.dot_general", dot_general},           {"stablehlo.dynamic_conv", convolution},
    {"stablehlo.triangular_solve", triangular_solve},
};

}  // namespace

std::span<const Mapping> contraction_mappings() { return kMappings; }

}  // namespace trireme::formats::stablehlo
