#include "trireme/ops/declare.h"
#include "trireme/ops/numerics.h"
#include "trireme/ops/sizes.h"

namespace trireme {

namespace {

// Calls body(offset) for every element of a window, in row-major order.
template <class F>
void for_each_offset(const Ints& window, F body) {
  for_each_index(Shape(window), [&](int64_t, const int64_t* index) { body(Ints(index, index + window.size())); });
}

// Element q of the padded input lies in cell q / stride of phase q % stride, along each axis. Contributions of window
// element `offset` fall into one phase and are shifted by whole cells there, so sums stay as small as dy.
class Phases {
 public:
  Phases(const Ints& stride, const Ints& cells) : stride_(stride), cells_(cells) {
    sums_.resize(static_cast<size_t>(Shape(stride).elements()));
  }

  void add(const Ints& offset, const Value& part) {
    Ints low, high, none(offset.size(), 0);
    int64_t phase = 0;
    bool moved = false;
    for (size_t a = 0; a < offset.size(); ++a) {
      phase = phase * stride_[a] + offset[a] % stride_[a];
      low.push_back(offset[a] / stride_[a]);
      high.push_back(cells_[a] - low[a] - part.shape()[static_cast<int>(a)]);
      moved = moved || low[a] > 0 || high[a] > 0;
    }
    const Value placed = moved ? ops::pad(part, low, high, none, 0.0) : part;
    Value& sum = sums_[static_cast<size_t>(phase)];
    sum = sum ? sum + placed : placed;
  }

  // All phases interleaved: cells * stride elements along each axis.
  Value interleaved(DType dtype) const {
    Ints strided, stacked_sizes = cells_, order, merged, cell_sizes = cells_;
    cell_sizes.push_back(1);
    const auto rank = static_cast<int64_t>(stride_.size());
    for (size_t a = 0; a < stride_.size(); ++a) {
      order.push_back(static_cast<int64_t>(a));
      merged.push_back(cells_[a] * stride_[a]);
      if (stride_[a] == 1) continue;
      order.push_back(rank + static_cast<int64_t>(strided.size()));
      strided.push_back(stride_[a]);
    }
    std::vector<Value> parts;
    for (const Value& sum : sums_) {
      parts.push_back(sum ? ops::reshape(sum, cell_sizes) : ops::filled(dtype, Shape(cell_sizes), 0.0));
    }
    if (strided.empty()) return ops::reshape(parts[0], cells_);
    stacked_sizes.insert(stacked_sizes.end(), strided.begin(), strided.end());
    const Value stacked = ops::reshape(ops::concat(parts, rank), stacked_sizes);
    return ops::reshape(ops::transpose(stacked, order), merged);
  }

 private:
  Ints stride_, cells_;
  std::vector<Value> sums_;  // per phase, row-major; absent: zero
};

bool has_rank(const Ints& list, int rank, int64_t least) {
  return list.size() == static_cast<size_t>(rank) &&
         std::all_of(list.begin(), list.end(), [&](int64_t n) { return n >= least; });
}

}  // namespace

OpDecl max_pool_gradient_decl{
    .name = "max_pool_gradient",
    .doc =
        "Gradient of reduce_window of kind max: each dy goes to the first element of its window, in row-major order, "
        "that equals y.",
    .tier = Tier::kComposite,
    .kind = Kind::kReduction,
    .inputs = {{"x", floats}, {"y", same_as_first}, {"dy", same_as_first}},
    .outputs = {"dx"},
    .attributes = {{"window", required_ints, "size of the window along each axis"},
                   {"strides", required_ints, "step of the window along each axis"},
                   {"low", required_ints, "padding before each axis"},
                   {"high", required_ints, "padding after each axis"},
                   {"dilation", required_ints, "distance between elements of a window along each axis"}},
    .coerce = Coerce::kPromote,
    .rules = {"the lists have one entry per axis; padding is not negative, the others are 1 or more",
              "y and dy have the shape of reduce_window, and at most 3 strides are above 1"},
    .infer =
        [](Infer& i) {
          const Ints &window = i.integers("window"), &strides = i.integers("strides"), &low = i.integers("low");
          const Ints &high = i.integers("high"), &dilation = i.integers("dilation");
          const int rank = i.rank(0);
          i.require(1, has_rank(window, rank, 1) && has_rank(strides, rank, 1) && has_rank(dilation, rank, 1));
          i.require(1, has_rank(low, rank, 0) && has_rank(high, rank, 0));
          Ints sizes;
          for (size_t a = 0; a < window.size(); ++a) {
            const Wide covered = Wide{dilation[a]} * (window[a] - 1) + 1;
            const int64_t room = bounded(Wide{i.shape(0)[static_cast<int>(a)]} + low[a] + high[a] - covered);
            sizes.push_back(room < 0 ? 0 : room / strides[a] + 1);
          }
          i.require(2, i.shape(1) == Shape(sizes) && i.shape(2) == Shape(sizes));
          i.require(2, std::count_if(strides.begin(), strides.end(), [](int64_t s) { return s > 1; }) <= 3);
          i.output(i.dtype(0), i.shape(0));
        },
    .gradient = gradient_of_decomposition,
    .meaning = decompose([](const Decompose& d) -> Values {
      const Ints &window = d.integers("window"), &strides = d.integers("strides"), &low = d.integers("low");
      const Ints &high = d.integers("high"), &dilation = d.integers("dilation");
      const Shape &x = d.x(0).shape(), &y = d.x(1).shape();
      if (x.elements() == 0 || y.elements() == 0) return ops::filled_like(d.x(0), 0.0);
      const Ints none(window.size(), 0), ones(window.size(), 1);
      const bool padded = std::any_of(low.begin(), low.end(), [](int64_t n) { return n > 0; }) ||
                          std::any_of(high.begin(), high.end(), [](int64_t n) { return n > 0; });
      const Value source =
          padded ? ops::pad(d.x(0), low, high, none, -std::numeric_limits<double>::infinity()) : d.x(0);
      Ints cells;
      for (size_t a = 0; a < window.size(); ++a) {
        cells.push_back((source.shape()[static_cast<int>(a)] + strides[a] - 1) / strides[a]);
      }
      Phases phases(strides, cells);
      const Value zero = ops::filled_like(d.x(2), 0.0);
      Value open;  // windows that have not yet met their maximum
      for_each_offset(window, [&](Ints offset) {
        Ints end;
        for (size_t a = 0; a < offset.size(); ++a) {
          offset[a] *= dilation[a];
          end.push_back(offset[a] + (y[static_cast<int>(a)] - 1) * strides[a] + 1);
        }
        const Value met = ops::compare(ops::slice(source, offset, end, strides), d.x(1), "eq");
        const Value first = open ? ops::and_(open, met) : met;
        open = open ? ops::and_(open, ops::not_(met)) : ops::not_(met);
        phases.add(offset, ops::select(first, d.x(2), zero));
      });
      Ints end;
      for (size_t a = 0; a < low.size(); ++a) end.push_back(low[a] + x[static_cast<int>(a)]);
      return ops::slice(phases.interleaved(d.x(0).dtype()), low, end, ones);
    }),
    .accuracy = by_decomposition,
    .cost = cost_of_decomposition,
    .cases = {"[1,2,4,4] [1,2,2,2] [1,2,2,2] window=[1,1,2,2] strides=[1,1,2,2] low=[0,0,0,0] high=[0,0,0,0] "
              "dilation=[1,1,1,1]",
              "[5] [3] [3] window=[3] strides=[2] low=[1] high=[1] dilation=[1]",
              "[7] [3] [3] window=[2] strides=[2] low=[0] high=[0] dilation=[2]"},
    .rejects = {"1: [5] [3] [3] window=[3] strides=[2,2] low=[1] high=[1] dilation=[1]",
                "1: [5] [3] [3] window=[3] strides=[2] low=[-1] high=[1] dilation=[1]",
                "2: [5] [2] [3] window=[3] strides=[2] low=[1] high=[1] dilation=[1]"},
};

}  // namespace trireme
