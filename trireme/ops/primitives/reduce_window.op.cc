#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"
#include "trireme/ops/sizes.h"

namespace trireme {

namespace {
struct Window {
  const Ints &size, &stride, &low, &high, &dilation;
  template <class Rule>
  explicit Window(const Rule& r)
      : size(r.integers("window")),
        stride(r.integers("strides")),
        low(r.integers("low")),
        high(r.integers("high")),
        dilation(r.integers("dilation")) {}
  // Elements from the first to the last of the window along an axis.
  int64_t extent(size_t axis) const { return bounded(Wide{size[axis] - 1} * dilation[axis] + 1); }
};

int window_kind(std::string_view kind) { return kind == "max" ? 0 : kind == "min" ? 1 : kind == "sum" ? 2 : -1; }

void infer_window(Infer& i) {
  const Window w(i);
  i.require(1, window_kind(i.string("kind")) >= 0);
  const auto rank = static_cast<size_t>(i.rank(0));
  for (const Ints* list : {&w.size, &w.stride, &w.low, &w.high, &w.dilation}) i.require(2, list->size() == rank);
  Ints sizes;
  for (size_t a = 0; a < rank; ++a) {
    i.require(3, w.size[a] >= 1 && w.stride[a] >= 1 && w.dilation[a] >= 1 && w.low[a] >= 0 && w.high[a] >= 0);
    const int64_t room = bounded(Wide{i.shape(0)[static_cast<int>(a)]} + w.low[a] + w.high[a] - w.extent(a));
    sizes.push_back(room < 0 ? 0 : room / w.stride[a] + 1);
  }
  i.output(i.dtype(0), sizes);
}

// Windows are boxes, so they fold axis by axis: the work is the sum of the window's sizes, not their product.
Values window_by_slices(const Decompose& d) {
  const Window w(d);
  const int kind = window_kind(d.string("kind"));
  const bool sum = kind == 2;
  if (d.y().shape().elements() == 0) return ops::filled_like(d.y(), 0.0);
  Value x = sum ? ops::widen(d.x(0)) : d.x(0);
  const DType type = x.dtype();
  const double identity = sum              ? 0.0
                          : is_float(type) ? (kind == 0 ? -1 : 1) * std::numeric_limits<double>::infinity()
                          : kind == 0      ? lowest(type)
                                           : highest(type);
  x = ops::pad(x, w.low, w.high, Ints(w.low.size(), 0), identity);
  for (size_t a = 0; a < w.size.size(); ++a) {
    const int64_t reach = (d.y().shape()[static_cast<int>(a)] - 1) * w.stride[a] + 1;
    Ints begin(w.size.size(), 0), end = x.shape().vector(), step(w.size.size(), 1);
    step[a] = w.stride[a];
    Value folded;
    for (int64_t k = 0; k < w.size[a]; ++k) {
      begin[a] = k * w.dilation[a];
      end[a] = begin[a] + reach;
      const Value part = ops::slice(x, begin, end, step);
      folded = !folded ? part : sum ? folded + part : kind == 0 ? ops::max(folded, part) : ops::min(folded, part);
    }
    x = folded;
  }
  return ops::as_type(x, d.x(0).dtype());
}

void evaluate_window(Evaluation& e) {
  const Window w(e);
  const int kind = window_kind(e.string("kind"));
  const Evaluated& x = e.x(0);
  const Strides strides = dense_strides(x.shape());
  const Shape box(w.size);
  const auto run = [&]<class T>(const auto& from, auto& to) {
    for_each_index(e.y().shape(), [&](int64_t at, const int64_t* index) {
      T folded = kind == 0 ? lowest_of<T>(x.type.dtype) : kind == 1 ? highest_of<T>(x.type.dtype) : T(0);
      for_each_index(box, [&](int64_t, const int64_t* offset) {
        int64_t source = 0;
        for (size_t a = 0; a < w.size.size(); ++a) {
          const int64_t position = index[a] * w.stride[a] + offset[a] * w.dilation[a] - w.low[a];
          if (position < 0 || position >= x.shape()[static_cast<int>(a)]) return;
          source += position * strides[a];
        }
        const auto element = static_cast<T>(from[static_cast<size_t>(source)]);
        folded = kind == 0   ? larger(folded, element)
                 : kind == 1 ? smaller(folded, element)
                             : wrapping([](auto a, auto b) { return a + b; }, folded, element);
      });
      to[static_cast<size_t>(at)] = static_cast<std::decay_t<decltype(to[0])>>(folded);
    });
  };
  if (x.floating()) run.template operator()<double>(x.real, e.y().real);
  else if (is_unsigned_int(x.type.dtype)) run.template operator()<uint64_t>(x.integer, e.y().integer);
  else run.template operator()<int64_t>(x.integer, e.y().integer);
  if (!x.floating()) e.y().round();
}
}  // namespace

OpDecl reduce_window_decl{
    .name = "reduce_window",
    .doc =
        "Max, min or sum of the elements in a window that slides along all axes; the padding is the identity. "
        "y.size = (x.size + low + high - ((window - 1) dilation + 1)) / stride + 1, or 0.",
    .tier = Tier::kExpected,
    .kind = Kind::kReduction,
    .inputs = {{"x", numbers}},
    .outputs = {"y"},
    .attributes = {{"kind", required_string, "max, min or sum"},
                   {"window", required_ints, "elements of the window, of each axis"},
                   {"strides", required_ints, "step of the window, of each axis"},
                   {"low", required_ints, "padding before, of each axis"},
                   {"high", required_ints, "padding after, of each axis"},
                   {"dilation", required_ints, "distance between elements of the window, of each axis"}},
    .coerce = Coerce::kNone,
    .rules = {"kind is max, min or sum", "window, strides, low, high and dilation have one entry per axis",
              "window, strides and dilation are 1 or more, low and high 0 or more"},
    .infer = infer_window,
    .gradient = gradient_of_decomposition,
    .meaning = evaluate(evaluate_window, window_by_slices),
    .accuracy = accumulated,
    .cost = flops([](const OpView& v) {
      double work = static_cast<double>(v.y().shape().elements());
      for (int64_t n : v.integers("window")) work *= static_cast<double>(n);
      return work;
    }),
    .cases =
        {"[7] kind=\"max\" window=[3] strides=[2] low=[1] high=[1] dilation=[1]",
         "[5,6] kind=\"sum\" window=[2,3] strides=[1,2] low=[0,1] high=[1,0] dilation=[2,1]",
         "[5,6] kind=\"min\" window=[2,2] strides=[2,2] low=[0,0] high=[0,0] dilation=[1,1]",
         "[1,2,4,4] kind=\"max\" window=[1,1,2,2] strides=[1,1,2,2] low=[0,0,0,0] high=[0,0,0,0] dilation=[1,1,1,1]",
         "[] kind=\"max\" window=[] strides=[] low=[] high=[] dilation=[]",
         "[0,3] kind=\"sum\" window=[1,2] strides=[1,1] low=[0,0] high=[0,0] dilation=[1,1]",
         "[2] kind=\"max\" window=[3] strides=[1] low=[0] high=[0] dilation=[1]"},
    .rejects = {"1: [3] kind=\"mean\" window=[1] strides=[1] low=[0] high=[0] dilation=[1]",
                "2: [3] kind=\"sum\" window=[1,1] strides=[1] low=[0] high=[0] dilation=[1]",
                "3: [3] kind=\"sum\" window=[1] strides=[0] low=[0] high=[0] dilation=[1]",
                "3: [3] kind=\"sum\" window=[1] strides=[1] low=[-1] high=[0] dilation=[1]"},
};

}  // namespace trireme
