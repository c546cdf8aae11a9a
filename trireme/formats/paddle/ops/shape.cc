// Axes and sizes: reshaping, joining, cutting, padding.
#include "trireme/base/strings.h"
#include "trireme/formats/paddle/call.h"

namespace trireme::formats::paddle {

namespace {

// 0 keeps a size of x, one -1 takes what is left.
void reshape(Call& c) {
  const Value x = c.x("X");
  Ints sizes = c.sizes("Shape", "ShapeTensor", "shape");
  int64_t rest = -1;
  Wide product = 1;
  for (size_t a = 0; a < sizes.size(); ++a) {
    if (sizes[a] == 0) {
      c.require(static_cast<int>(a) < x.shape().rank(),
                cat("shape ", sizes, " keeps an axis that ", x.shape(), " lacks"));
      sizes[a] = x.shape()[static_cast<int>(a)];
    }
    if (sizes[a] == -1) {
      c.require(rest < 0, cat("shape ", sizes, " leaves two sizes open"));
      rest = static_cast<int64_t>(a);
    } else {
      c.require(sizes[a] >= 0, cat("shape ", sizes));
      product = std::min<Wide>(product * sizes[a], Wide{1} << 60);
    }
  }
  if (rest >= 0) {
    c.require(product > 0 && x.shape().elements() % bounded(product) == 0, cat(x.shape(), " as ", sizes));
    sizes[static_cast<size_t>(rest)] = x.shape().elements() / bounded(product);
  }
  c.result(ops::reshape(x, sizes));
}

void transpose(Call& c) { c.result(ops::transpose(c.x("X"), c.axes(c.integers("axis"), c.x("X").shape().rank()))); }

// Axes of another size than 1 stay.
void squeeze(Call& c) {
  const Value x = c.x("X");
  const int rank = x.shape().rank();
  const Ints given = c.sizes("AxesTensor", "AxesTensorList", "axes");
  const Ints axes = c.axes(given, rank);
  Ints sizes;
  for (int a = 0; a < rank; ++a) {
    const bool named = given.empty() || std::find(axes.begin(), axes.end(), a) != axes.end();
    if (!named || x.shape()[a] != 1) sizes.push_back(x.shape()[a]);
  }
  c.result(ops::reshape(x, sizes));
}

void unsqueeze(Call& c) {
  const Value x = c.x("X");
  Ints sizes = x.shape().vector();
  for (int64_t a : c.sizes("AxesTensor", "AxesTensorList", "axes")) {
    const int64_t at = c.axis(a, static_cast<int64_t>(sizes.size()) + 1);
    sizes.insert(sizes.begin() + at, 1);
  }
  c.result(ops::reshape(x, sizes));
}

// Axes before `axis` as rows, the others as columns.
void flatten_to_matrix(Call& c) {
  const Value x = c.x("X");
  const int64_t axis = c.integer("axis", 1);
  c.require(axis >= 0 && axis <= x.shape().rank(), cat("axis ", axis, " of ", x.shape()));
  const auto sizes = x.shape().sizes();
  c.result(ops::reshape(x, {Shape(sizes.first(static_cast<size_t>(axis))).elements(),
                            Shape(sizes.subspan(static_cast<size_t>(axis))).elements()}));
}

void flatten_range(Call& c) {
  const Value x = c.x("X");
  if (x.shape().rank() == 0) c.result(ops::reshape(x, {1}));
  else c.result(ops::flatten(x, c.integer("start_axis", 1), c.integer("stop_axis", 1)));
}

void concat(Call& c) {
  std::vector<Value> parts = c.list("X");
  DType type = parts[0].dtype();
  for (const Value& each : parts) type = promote(type, each.dtype());
  for (Value& each : parts) each = ops::as_type(each, type);
  const int64_t axis = c.axis(c.size("AxisTensor", "axis", 0), parts[0].shape().rank());
  c.result(parts.size() == 1 ? parts[0] : ops::concat(parts, axis));
}

void stack(Call& c) { c.result("Y", ops::stack(c.list("X"), c.integer("axis", 0))); }

void split(Call& c) {
  const Value x = c.x("X");
  const int axis = static_cast<int>(c.axis(c.size("AxisTensor", "axis", 0), x.shape().rank()));
  Ints sections = c.sizes("", "SectionsTensorList", "sections");
  const int64_t whole = x.shape()[axis];
  if (sections.empty()) {
    const int64_t parts = c.integer("num", 0);
    c.require(parts >= 1 && parts <= 65536 && whole % parts == 0,
              cat(parts, " equal parts of ", x.shape(), " along ", axis));
    sections.assign(static_cast<size_t>(parts), whole / parts);
  }
  int64_t known = 0, open = 0;
  for (int64_t each : sections) {
    c.require(each >= -1 && each <= whole, cat("sections ", sections, " of ", whole));
    known += each < 0 ? 0 : each;
    open += each < 0 ? 1 : 0;
  }
  c.require(open <= 1 && (open == 1 ? known <= whole : known == whole), cat("sections ", sections, " of ", whole));
  int64_t begin = 0;
  const size_t wanted = std::min(sections.size(), static_cast<size_t>(c.results("Out")));
  for (size_t k = 0; k < wanted; ++k) {
    const int64_t size = sections[k] < 0 ? whole - known : sections[k];
    c.result("Out", ops::slice_axis(x, axis, begin, begin + size), static_cast<int>(k));
    begin += size;
  }
}

void take_apart(Call& c, std::string_view output) {
  const Value x = c.x("X");
  const int axis = static_cast<int>(c.axis(c.integer("axis", 0), x.shape().rank()));
  for (int64_t k = 0; k < std::min<int64_t>(x.shape()[axis], c.results(output)); ++k) {
    const Value part = ops::slice_axis(x, axis, k, k + 1);
    c.result(output, ops::reshape(part, x.shape().without(axis).vector()), static_cast<int>(k));
  }
}
void unstack(Call& c) { take_apart(c, "Y"); }
void unbind(Call& c) { take_apart(c, "Out"); }

// Begin and end as in Python: negative ones count from the end, all are cut to what is there.
void slice_with(Call& c, const Ints& strides) {
  Value x = c.x("Input");
  const int rank = x.shape().rank();
  const Ints axes = c.axes(c.integers("axes"), rank);
  const Ints starts = c.sizes("StartsTensor", "StartsTensorList", "starts"),
             ends = c.sizes("EndsTensor", "EndsTensorList", "ends");
  c.require(
      starts.size() == axes.size() && ends.size() == axes.size() && (strides.empty() || strides.size() == axes.size()),
      cat("axes ", axes, ", starts ", starts, ", ends ", ends, ", strides ", strides));
  for (size_t k = 0; k < axes.size(); ++k) {
    const int axis = static_cast<int>(axes[k]);
    const int64_t size = x.shape()[axis], step = strides.empty() ? 1 : strides[k];
    c.require(step != 0, "a stride is 0");
    const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
    const auto place = [&](int64_t at) { return std::clamp(at < 0 ? bounded(Wide{at} + size) : at, low, high); };
    const int64_t begin = place(starts[k]), end = step < 0 && ends[k] < -size ? -1 : place(ends[k]);
    if (step > 0) {
      Ints from(static_cast<size_t>(rank), 0), to = x.shape().vector(), by(static_cast<size_t>(rank), 1);
      from[static_cast<size_t>(axis)] = std::min(begin, end);
      to[static_cast<size_t>(axis)] = end;
      by[static_cast<size_t>(axis)] = std::min(step, std::max<int64_t>(size, 1));
      x = ops::slice(x, from, to, by);
      continue;
    }
    const Value turned = ops::reverse(x, {axis});
    Ints from(static_cast<size_t>(rank), 0), to = x.shape().vector(), by(static_cast<size_t>(rank), 1);
    from[static_cast<size_t>(axis)] = size - 1 - begin;
    to[static_cast<size_t>(axis)] = std::max(size - 1 - end, size - 1 - begin);
    by[static_cast<size_t>(axis)] = std::min(bounded(-Wide{step}), std::max<int64_t>(size, 1));
    x = ops::slice(turned, from, to, by);
  }
  Ints sizes;
  const Ints dropped = c.axes(c.integers("decrease_axis"), rank);
  for (int a = 0; a < rank; ++a) {
    const bool drop = std::find(dropped.begin(), dropped.end(), a) != dropped.end();
    c.require(!drop || x.shape()[a] == 1, cat("axis ", a, " of ", x.shape(), " is dropped; its size must be 1"));
    if (!drop) sizes.push_back(x.shape()[a]);
  }
  c.result(ops::reshape(x, sizes));
}
void slice(Call& c) { slice_with(c, {}); }
void strided_slice(Call& c) { slice_with(c, c.sizes("StridesTensor", "StridesTensorList", "strides")); }

Value expanded(Call& c, const Value& x, Ints sizes) {
  const auto rank = static_cast<size_t>(x.shape().rank());
  c.require(sizes.size() >= rank, cat(x.shape(), " to ", sizes));
  for (size_t a = 0; a < rank; ++a) {
    int64_t& size = sizes[sizes.size() - rank + a];
    if (size == -1) size = x.shape()[static_cast<int>(a)];
  }
  return ops::broadcast_to(x, sizes);
}
void expand(Call& c) { c.result(expanded(c, c.x("X"), c.sizes("Shape", "expand_shapes_tensor", "shape"))); }
void expand_as(Call& c) {
  const Ints sizes = c.has("Y") ? c.x("Y").shape().vector() : c.integers("target_shape");
  c.result(expanded(c, c.x("X"), sizes));
}

void repeat(Call& c, Ints times) {
  Value x = c.x("X");
  const auto rank = static_cast<size_t>(x.shape().rank());
  if (times.size() < rank) times.insert(times.begin(), rank - times.size(), 1);
  Ints sizes(times.size() - rank, 1);
  sizes.insert(sizes.end(), x.shape().begin(), x.shape().end());
  c.result(ops::tile(ops::reshape(x, sizes), times));
}
void tile(Call& c) { repeat(c, c.sizes("RepeatTimes", "repeat_times_tensor", "repeat_times")); }
void expand_old(Call& c) { repeat(c, c.sizes("ExpandTimes", "expand_times_tensor", "expand_times")); }

void flip(Call& c) { c.result(ops::flip(c.x("X"), c.axes(c.integers("axis"), c.x("X").shape().rank()))); }

void roll(Call& c) {
  const Value x = c.x("X");
  const Ints axes = c.integers("axis"), shifts = c.sizes("ShiftsTensor", "", "shifts");
  if (axes.empty()) {
    const Value flat = ops::reshape(x, {x.shape().elements()});
    c.result(ops::reshape(ops::roll(flat, shifts, {0}), x.shape().vector()));
  } else {
    c.result(ops::roll(x, shifts, c.axes(axes, x.shape().rank())));
  }
}

Value padded(Call& c, const Value& x, const Ints& low, const Ints& high, const std::string& mode, double value) {
  for (size_t a = 0; a < low.size(); ++a) c.require(low[a] >= 0 && high[a] >= 0, cat("paddings ", low, " and ", high));
  if (mode == "constant") return ops::pad(x, low, high, Ints(low.size(), 0), value);
  if (mode == "reflect") return ops::pad_reflect(x, low, high);
  if (mode == "edge" || mode == "replicate") return ops::pad_edge(x, low, high);
  c.unsupported(cat("mode '", mode, "'; supported: constant, reflect, edge, replicate"));
}

// Pairs, the last axis first (pad3d), or the first axis first.
void pad_spatial(Call& c, const Ints& paddings, bool last_first, double value) {
  const Channels channels(c, "data_format");
  const Value x = channels.first(c.x("X"));
  const int rank = x.shape().rank();
  c.require(static_cast<int>(paddings.size()) == 2 * (rank - 2), cat("paddings ", paddings, " of ", x.shape()));
  Ints low(static_cast<size_t>(rank), 0), high = low;
  for (int a = 0; a < rank - 2; ++a) {
    const auto axis = static_cast<size_t>(last_first ? rank - 1 - a : 2 + a);
    low[axis] = paddings[static_cast<size_t>(2 * a)];
    high[axis] = paddings[static_cast<size_t>(2 * a + 1)];
  }
  c.result(channels.back(padded(c, x, low, high, c.string("mode", "constant"), value)));
}
void pad2d(Call& c) { pad_spatial(c, c.sizes("Paddings", "", "paddings"), false, c.number("pad_value", 0.0)); }
void pad3d(Call& c) { pad_spatial(c, c.sizes("Paddings", "", "paddings"), true, c.number("value", 0.0)); }
void pad(Call& c) {
  const Value x = c.x("X");
  const Ints paddings = c.integers("paddings");
  c.require(static_cast<int>(paddings.size()) == 2 * x.shape().rank(), cat("paddings ", paddings, " of ", x.shape()));
  Ints low, high;
  for (size_t a = 0; a < paddings.size(); a += 2) {
    low.push_back(paddings[a]);
    high.push_back(paddings[a + 1]);
  }
  c.result(padded(c, x, low, high, "constant", c.number("pad_value", 0.0)));
}

void pixel_shuffle(Call& c) {
  const Channels channels(c, "data_format");
  c.result(channels.back(ops::pixel_shuffle(channels.first(c.x("X")), c.integer("upscale_factor", 1))));
}

// [N, g c, H, W] with the channels of the groups taken in turn.
void shuffle_channel(Call& c) {
  const Value x = c.x("X");
  const Shape& s = x.shape();
  const int64_t groups = c.integer("group", 1);
  c.require(s.rank() == 4 && groups >= 1 && s[1] % groups == 0, cat(groups, " groups of ", s));
  const Value apart = ops::reshape(x, {s[0], groups, s[1] / groups, s[2], s[3]});
  c.result(ops::reshape(ops::transpose(apart, {0, 2, 1, 3, 4}), s.vector()));
}

void tril_triu(Call& c) {
  const int64_t diagonal = c.integer("diagonal", 0);
  c.result(c.flag("lower", true) ? ops::tril(c.x("X"), diagonal) : ops::triu(c.x("X"), diagonal));
}

void tril(Call& c) { c.result(ops::tril(c.x("X"), c.integer("diagonal", 0))); }
void triu(Call& c) { c.result(ops::triu(c.x("X"), c.integer("diagonal", 0))); }

void meshgrid(Call& c) {
  const std::vector<Value> list = c.list("X");
  Ints sizes;
  for (const Value& each : list) sizes.push_back(each.shape().elements());
  for (size_t k = 0; k < list.size(); ++k) {
    const Value row = ops::along_axis(list[k], static_cast<int64_t>(k), static_cast<int>(list.size()));
    c.result("Out", broadcast(row, Shape(sizes)), static_cast<int>(k));
  }
}

// A vector as a diagonal, or the diagonal of a matrix.
void diag(Call& c) {
  const Value x = c.x("X");
  const int64_t offset = c.integer("offset", 0);
  if (c.number("padding_value", 0.0) != 0.0) c.unsupported("a padding_value other than 0");
  c.require(x.shape().rank() == 1 || x.shape().rank() == 2, cat("X is ", x.shape()));
  c.result(x.shape().rank() == 1 ? ops::diag(x, offset) : ops::diagonal(x, offset));
}
void diagonal(Call& c) {
  const Value x = c.x("Input");
  const int rank = x.shape().rank();
  const int64_t first = c.axis(c.integer("axis1", 0), rank), second = c.axis(c.integer("axis2", 1), rank);
  c.require(first != second, cat("axis1 and axis2 are both ", first));
  Ints order;
  for (int64_t a : ops::iota_axes(rank)) {
    if (a != first && a != second) order.push_back(a);
  }
  order.insert(order.end(), {first, second});
  c.result(ops::diagonal(ops::transpose(x, order), c.integer("offset", 0)));
}

void repeat_interleave(Call& c) {
  const Value x = c.x("X");
  const int64_t axis = c.axis(c.integer("dim", 0), x.shape().rank());
  if (c.has("RepeatsTensor")) c.unsupported("a number of repeats for each element");
  c.result(ops::repeat_interleave(x, c.integer("Repeats", 1), axis));
}

// [n t, c, h, w]: some channels come from the frame before, as many from the one after.
void temporal_shift(Call& c) {
  const Channels channels(c, "data_format");
  const Value x = channels.first(c.x("X"));
  const Shape& s = x.shape();
  const int64_t frames = c.integer("seg_num", 1);
  c.require(s.rank() == 4 && frames >= 1 && s[0] % frames == 0, cat(frames, " frames of ", s));
  const double ratio = c.number("shift_ratio", 0.25);
  c.require(ratio > 0.0 && ratio <= 0.5, cat("shift_ratio is ", ratio, "; it must be within 0 .. 0.5"));
  const auto before = static_cast<int64_t>(static_cast<double>(s[1]) * ratio),
             after = static_cast<int64_t>(static_cast<double>(s[1]) * 2 * ratio);
  const Value frame = ops::reshape(x, {s[0] / frames, frames, s[1], s[2], s[3]});
  const auto moved = [&](int64_t begin, int64_t end, int64_t low, int64_t high) {
    const Value part = ops::slice_axis(frame, 2, begin, end);
    const Value wide = ops::pad(part, {0, low, 0, 0, 0}, {0, high, 0, 0, 0}, Ints(5, 0));
    return ops::slice_axis(wide, 1, high, high + frames);
  };
  const Value y = ops::concat({moved(0, before, 1, 0), moved(before, after, 0, 1), moved(after, s[1], 0, 0)}, 2);
  c.result(channels.back(ops::reshape(y, s.vector())));
}

void unfold(Call& c) {
  const Ints paddings = c.integers("paddings", {0, 0});
  const bool sides = paddings.size() == 4;
  if (sides && (paddings[0] != paddings[2] || paddings[1] != paddings[3])) c.unsupported("other paddings on each side");
  c.result("Y", ops::unfold(c.x("X"), c.integers("kernel_sizes"), c.integers("strides", {1, 1}),
                            sides ? Ints{paddings[0], paddings[1]} : paddings, c.integers("dilations", {1, 1})));
}

}  // namespace

std::span<const Mapping> shape_mappings() {
  static constexpr Mapping table[] = {
      {"concat", concat},
      {"diag_v2", diag},
      {"diagonal", diagonal},
      {"expand", expand_old},
      {"expand_as_v2", expand_as},
      {"expand_v2", expand},
      {"flatten", flatten_to_matrix},
      {"flatten2", flatten_to_matrix},
      {"flatten_contiguous_range", flatten_range},
      {"flip", flip},
      {"meshgrid", meshgrid},
      {"pad", pad},
      {"pad2d", pad2d},
      {"pad3d", pad3d},
      {"pixel_shuffle", pixel_shuffle},
      {"repeat_interleave", repeat_interleave},
      {"reshape", reshape},
      {"reshape2", reshape},
      {"roll", roll},
      {"shuffle_channel", shuffle_channel},
      {"slice", slice},
      {"split", split},
      {"squeeze", squeeze},
      {"squeeze2", squeeze},
      {"stack", stack},
      {"strided_slice", strided_slice},
      {"temporal_shift", temporal_shift},
      {"tile", tile},
      {"transpose", transpose},
      {"transpose2", transpose},
      {"tril", tril},
      {"tril_triu", tril_triu},
      {"triu", triu},
      {"unbind", unbind},
      {"unfold", unfold},
      {"unsqueeze", unsqueeze},
      {"unsqueeze2", unsqueeze},
      {"unstack", unstack},
  };
  return table;
}

}  // namespace trireme::formats::paddle
