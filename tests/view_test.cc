// The algebra of views against brute force: the meaning of view ops on the numbers 0, 1, 2, ... says where each element
// comes from; sizes, strides and offset must say the same.
#include "trireme/ir/view.h"

#include <gtest/gtest.h>

#include <random>

#include "trireme/base/strings.h"
#include "trireme/ir/graph.h"
#include "trireme/ir/op_decl.h"
#include "trireme/ops/ops.h"
#include "trireme/ops/rules.h"
#include "trireme/reference/evaluator.h"

namespace trireme {
namespace {

// Positions in the first input that the elements of `y` come from, row-major.
std::vector<int64_t> sources(const Value& x, const Value& y) {
  Evaluated numbers({i64, x.shape()});
  for (size_t i = 0; i < numbers.integer.size(); ++i) numbers.integer[i] = static_cast<int64_t>(i);
  const std::vector<Evaluated> inputs{numbers};
  return reference::evaluate_unrounded(Graph({x}, {y}), inputs)[0].integer;
}

std::vector<int64_t> positions(const View& view) {
  std::vector<int64_t> out;
  for_each_index(view.shape, [&](int64_t, const int64_t* index) {
    int64_t at = view.offset;
    for (int a = 0; a < view.shape.rank(); ++a) at += index[a] * view.strides[static_cast<size_t>(a)];
    out.push_back(at);
  });
  return out;
}

// True when some strides and offset reach exactly these positions: a view exists.
bool is_affine(const Shape& shape, const std::vector<int64_t>& at) {
  if (at.empty()) return true;
  View view{shape, {}, at[0]};
  const Strides dense = dense_strides(shape);
  for (int a = 0; a < shape.rank(); ++a) {
    const auto axis = static_cast<size_t>(a);
    if (shape[a] > 1) view.strides[axis] = at[static_cast<size_t>(dense[axis])] - at[0];
  }
  return positions(view) == at;
}

class RandomViews {
 public:
  explicit RandomViews(uint32_t seed) : random_(seed) {}
  int64_t pick(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random_); }

  Shape shape() {
    std::vector<int64_t> sizes(static_cast<size_t>(pick(0, 4)));
    for (auto& size : sizes) size = pick(0, 20) == 0 ? 0 : pick(1, 4);
    return sizes;
  }

  // A random view op on x.
  Value apply(const Value& x) {
    const Shape& shape = x.shape();
    switch (pick(0, 4)) {
      case 0: {
        Ints order(static_cast<size_t>(shape.rank()));
        for (size_t a = 0; a < order.size(); ++a) order[a] = static_cast<int64_t>(a);
        std::shuffle(order.begin(), order.end(), random_);
        return ops::transpose(x, order);
      }
      case 1: {
        Ints begin, end, step;
        for (int64_t size : shape) {
          begin.push_back(pick(0, size));
          end.push_back(pick(begin.back(), size));
          if (pick(0, 2) != 0) begin.back() = 0, end.back() = size;
          step.push_back(pick(1, 3));
        }
        return ops::slice(x, begin, end, step);
      }
      case 2: {
        Ints sizes;
        for (int64_t extra = pick(0, 4 - std::min(4, shape.rank())) / 2; extra > 0; --extra)
          sizes.push_back(pick(1, 3));
        for (int64_t size : shape) sizes.push_back(size == 1 ? pick(1, 3) : size);
        return ops::broadcast_to(x, sizes);
      }
      case 3: {
        Ints axes;
        for (int a = 0; a < shape.rank(); ++a) {
          if (pick(0, 1)) axes.push_back(a);
        }
        return ops::reverse(x, axes);
      }
      default: return ops::reshape(x, factors(shape.elements()));
    }
  }

 private:
  // Sizes with a given product.
  Ints factors(int64_t elements) {
    Ints out;
    if (elements == 0) return {pick(0, 3), 0};
    while (elements > 1 && out.size() < 4) {
      std::vector<int64_t> divisors;
      for (int64_t d = 1; d <= elements; ++d) {
        if (elements % d == 0) divisors.push_back(d);
      }
      out.push_back(divisors[static_cast<size_t>(pick(0, static_cast<int64_t>(divisors.size()) - 1))]);
      elements /= out.back();
    }
    if (elements > 1 || out.empty()) out.push_back(elements);
    if (pick(0, 3) == 0) out.insert(out.begin() + pick(0, static_cast<int64_t>(out.size())), 1);
    return out;
  }

  std::mt19937 random_;
};

TEST(View, RandomChainsReachTheRightElements) {
  int views = 0, copies = 0;
  for (uint32_t seed = 0; seed < 4000; ++seed) {
    RandomViews random(seed);
    const Value x = parameter(i64, random.shape());
    Value y = x;
    View view = View::dense(x.shape());
    std::string chain = x.type().text();
    for (int64_t length = random.pick(1, 6); length > 0; --length) {
      const Value next = random.apply(y);
      if (next.shape().elements() > 2000) break;
      append(chain, cat(" -> ", next.node().name(), next.shape()));
      const auto seen = apply_view(next.node(), view);
      const auto want = sources(x, next);
      if (!seen) {
        EXPECT_TRUE(next.node().is("reshape")) << "only a reshape may need a copy: " << chain;
        EXPECT_FALSE(is_affine(next.shape(), want)) << "a view exists: " << chain << " (seed " << seed << ")";
        ++copies;
        break;
      }
      ASSERT_EQ(seen->shape, next.shape()) << chain;
      ASSERT_EQ(positions(*seen), want) << chain << " (seed " << seed << ")";
      view = *seen;
      y = next;
      ++views;
    }
  }
  EXPECT_GT(views, 5000);
  EXPECT_GT(copies, 100);
}

TEST(View, DenseIsRecognised) {
  const Value x = parameter(f32, {2, 3, 4});
  const View dense = View::dense(x.shape());
  EXPECT_TRUE(dense.is_dense());
  EXPECT_TRUE(apply_view(ops::reshape(x, {6, 4}).node(), dense)->is_dense());
  EXPECT_FALSE(apply_view(ops::transpose(x, {0, 2, 1}).node(), dense)->is_dense());
  // Twice reversed is where it began.
  const Value reversed = ops::reverse(x, {0, 2});
  const auto once = apply_view(reversed.node(), dense);
  EXPECT_EQ(once->offset, 12 + 3);
  const auto twice = apply_view(ops::reverse(reversed, {0, 2}).node(), *once);
  EXPECT_EQ(twice->offset, 0);
  EXPECT_TRUE(twice->is_dense());
}

TEST(View, BroadcastIsStrideZero) {
  const Value x = parameter(f32, {3, 1});
  const auto view = apply_view(ops::broadcast_to(x, {2, 3, 4}).node(), View::dense(x.shape()));
  ASSERT_TRUE(view);
  EXPECT_EQ(view->strides[0], 0);
  EXPECT_EQ(view->strides[1], 1);
  EXPECT_EQ(view->strides[2], 0);
}

TEST(View, OtherOpsAreNoViews) {
  const Value x = parameter(f32, {3, 1});
  EXPECT_FALSE(apply_view(ops::exp(x).node(), View::dense(x.shape())));
}

}  // namespace
}  // namespace trireme
