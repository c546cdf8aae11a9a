// Matrix products in all their forms.
#include <map>
#include <set>

#include "trireme/base/strings.h"
#include "trireme/formats/onnx/call.h"
#include "trireme/formats/onnx/ops/quantization.h"

namespace trireme::formats::onnx {

namespace {

void matmul(Call& c) { c.result(ops::matmul(c.x(0), c.x(1))); }

void gemm(Call& c) {
  const auto matrix = [&](int input, std::string_view transposed) {
    c.require(c.rank(input) == 2, cat("input ", input, " is no matrix"));
    return c.integer(transposed, 0) != 0 ? ops::transpose(c.x(input), {1, 0}) : c.x(input);
  };
  Value y = ops::matmul(matrix(0, "transA"), matrix(1, "transB"));
  const double alpha = c.number("alpha", 1.0), beta = c.number("beta", 1.0);
  if (alpha != 1.0) y = y * alpha;
  if (c.has(2)) {
    const Value bias = broadcast(c.x(2), y.shape());
    y = y + (beta != 1.0 ? bias * beta : bias);
  }
  c.result(y);
}

// --- Einsum ---

// An operand whose axes carry distinct letters.
struct Term {
  std::string letters;
  Value value;
};

// x with its axes in the order of `letters`; those it lacks get size 1.
Value arranged(const Term& term, const std::string& letters) {
  Ints order, sizes;
  for (char letter : letters) {
    const size_t at = term.letters.find(letter);
    if (at == std::string::npos) {
      sizes.push_back(1);
      continue;
    }
    order.push_back(static_cast<int64_t>(at));
    sizes.push_back(term.value.shape()[static_cast<int>(at)]);
  }
  return ops::reshape(ops::transpose(term.value, order), sizes);
}

// One letter per axis: a letter that occurs twice takes the diagonal.
Term without_repeats(Term term) {
  for (size_t i = 0; i < term.letters.size(); ++i) {
    const size_t j = term.letters.find(term.letters[i], i + 1);
    if (j == std::string::npos) continue;
    const int64_t size = term.value.shape()[static_cast<int>(i)];
    Ints order;
    for (size_t a = 0; a < term.letters.size(); ++a) {
      if (a != i && a != j) order.push_back(static_cast<int64_t>(a));
    }
    order.push_back(static_cast<int64_t>(i));
    order.push_back(static_cast<int64_t>(j));
    const Value last = ops::transpose(term.value, order);
    Ints rows(last.shape().begin(), last.shape().end() - 2);
    rows.push_back(size * size);
    if (size > (1 << 24)) throw Error(Code::kUnsupported, "a diagonal of more than 2^24 elements");
    Ints places;
    for (int64_t k = 0; k < size; ++k) places.push_back(k * (size + 1));
    term.value = ops::gather(ops::reshape(last, rows), int64s(places), static_cast<int64_t>(rows.size()) - 1);
    const char letter = term.letters[i];
    term.letters.erase(j, 1);
    term.letters.erase(i, 1);
    term.letters.push_back(letter);
    i = static_cast<size_t>(-1);
  }
  return term;
}

// Sums over letters that nobody else needs.
Term reduced(Term term, const std::set<char>& needed) {
  Ints axes;
  std::string rest;
  for (size_t a = 0; a < term.letters.size(); ++a) {
    if (needed.contains(term.letters[a])) rest.push_back(term.letters[a]);
    else axes.push_back(static_cast<int64_t>(a));
  }
  if (!axes.empty()) term.value = ops::reduce_sum(term.value, axes, false);
  term.letters = rest;
  return term;
}

Term contracted(Call& c, const Term& a, const Term& b, const std::set<char>& needed) {
  std::string both, left, right, inner;
  std::map<char, int64_t> sizes;
  for (const Term* t : {&a, &b}) {
    for (size_t k = 0; k < t->letters.size(); ++k) {
      int64_t& size = sizes.try_emplace(t->letters[k], 1).first->second;
      const int64_t here = t->value.shape()[static_cast<int>(k)];
      c.require(size == 1 || here == 1 || size == here,
                cat("sizes ", size, " and ", here, " of '", t->letters[k], "'"));
      size = std::max(size, here);
    }
  }
  for (char letter : a.letters) {
    if (b.letters.find(letter) == std::string::npos) left.push_back(letter);
    else if (needed.contains(letter)) both.push_back(letter);
    else inner.push_back(letter);
  }
  for (char letter : b.letters) {
    if (a.letters.find(letter) == std::string::npos) right.push_back(letter);
  }
  const auto product = [&](const std::string& letters) {
    int64_t count = 1;
    for (char letter : letters) count *= sizes.at(letter);
    return count;
  };
  const auto wide = [&](const Term& t, const std::string& letters) {
    Ints shape;
    for (char letter : letters) shape.push_back(sizes.at(letter));
    return broadcast(arranged(t, letters), Shape(shape));
  };
  const Value x = ops::reshape(wide(a, both + left + inner), {product(both), product(left), product(inner)});
  const Value w = ops::reshape(wide(b, both + inner + right), {product(both), product(inner), product(right)});
  Ints shape;
  for (char letter : both + left + right) shape.push_back(sizes.at(letter));
  return {both + left + right, ops::reshape(ops::dot_general(x, w), shape)};
}

void einsum(Call& c) {
  std::string equation;
  for (char letter : c.string("equation", "")) {
    if (letter != ' ') equation.push_back(letter);
  }
  const size_t arrow = equation.find("->");
  std::vector<std::string> terms = split(equation.substr(0, arrow), ',');
  c.require(static_cast<int>(terms.size()) == c.inputs(), cat("'", equation, "' does not fit ", c.inputs(), " inputs"));
  // Axes behind "..." get letters of their own, the last axis first: 'a' - 1 and down are no letters of an equation.
  const auto hidden = [](int from_back) { return static_cast<char>(1 + from_back); };
  int most = 0;
  std::map<char, int> seen;
  for (size_t k = 0; k < terms.size(); ++k) {
    const size_t dots = terms[k].find("...");
    if (dots != std::string::npos) {
      const int count = c.rank(static_cast<int>(k)) - static_cast<int>(terms[k].size() - 3);
      c.require(count >= 0, cat("'", terms[k], "' has more letters than its input axes"));
      most = std::max(most, count);
      std::string letters;
      for (int a = count - 1; a >= 0; --a) letters.push_back(hidden(a));
      terms[k].replace(dots, 3, letters);
    }
    c.require(static_cast<int>(terms[k].size()) == c.rank(static_cast<int>(k)),
              cat("input ", k, " has ", c.rank(static_cast<int>(k)), " axes, '", terms[k], "' has other letters"));
    for (char letter : terms[k]) ++seen[letter];
  }
  std::string dotted;
  for (int a = most - 1; a >= 0; --a) dotted.push_back(hidden(a));
  std::string result;
  if (arrow != std::string::npos) {
    result = equation.substr(arrow + 2);
    const size_t dots = result.find("...");
    if (dots != std::string::npos) result.replace(dots, 3, dotted);
  } else {
    result = dotted;
    for (const auto& [letter, count] : seen) {
      if (count == 1 && letter >= 'A') result.push_back(letter);
    }
  }
  for (char letter : result) c.require(seen.contains(letter), "the result has a letter that no input has");
  Term sum;
  for (size_t k = 0; k < terms.size(); ++k) {
    std::set<char> needed(result.begin(), result.end());
    for (size_t later = k + 1; later < terms.size(); ++later) needed.insert(terms[later].begin(), terms[later].end());
    std::set<char> own = needed;
    if (k > 0) own.insert(sum.letters.begin(), sum.letters.end());
    const Term next = reduced(without_repeats({terms[k], c.x(static_cast<int>(k))}), own);
    sum = k == 0 ? next : contracted(c, sum, next, needed);
  }
  c.result(arranged(reduced(sum, std::set<char>(result.begin(), result.end())), result));
}

// --- integers ---

void matmul_integer(Call& c) {
  const auto side = [&](int input, int zero, bool columns) {
    const Value x = ops::convert(c.x(input), i32);
    if (!c.has(zero)) return x;
    Value z = ops::convert(c.x(zero), i32);
    if (z.shape().rank() == 1 && z.shape()[0] != 1) {
      z = columns ? z : ops::reshape(z, {z.shape()[0], 1});
    } else if (z.shape().elements() == 1) {
      z = ops::reshape(z, {});
    }
    return x - broadcast(z, x.shape());
  };
  c.result(ops::matmul(side(0, 2, false), side(1, 3, true)));
}

void qlinear_matmul(Call& c) {
  // a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point
  const Value a = ops::convert(c.x(0), i32) - broadcast(ops::convert(per_row(c.x(2), c.rank(0)), i32), c.shape(0));
  const Value b = ops::convert(c.x(3), i32) - broadcast(ops::convert(per_column(c.x(5), c.rank(3)), i32), c.shape(3));
  const Value product = ops::convert(ops::matmul(a, b), f32);
  const int rank = product.shape().rank();
  const auto scale = [&](const Value& v, bool rows) {
    const Value s = ops::as_type(v, f32);
    return broadcast(rows ? per_row(s, rank) : per_column(s, rank), product.shape());
  };
  const Value real = product * scale(c.x(1), true) * scale(c.x(4), false);
  const Value y = real / scale(c.x(6), true);
  const Value zero = broadcast(ops::convert(per_row(c.x(7), rank), f32), y.shape());
  c.result(0, Item(c.elem(7), saturated(ops::round_even(y) + zero, c.elem(7))));
}

void det(Call& c) {
  const Shape& shape = c.shape(0);
  const int rank = shape.rank();
  c.require(rank >= 2 && shape[rank - 1] == shape[rank - 2], cat(shape, " are no square matrices"));
  const int64_t n = shape[rank - 1];
  if (n > 512) c.unsupported(cat("a determinant of ", n, " rows; at most 512"));
  Ints rows(shape.begin(), shape.end() - 2);
  const int64_t batch = Shape(rows).elements();
  // Gaussian elimination with the largest pivot of each column.
  Value a = ops::reshape(ops::widen(c.x(0)), {batch, n, n});
  Value result = ops::filled(a.dtype(), {batch}, 1.0);
  for (int64_t k = 0; k < n; ++k) {
    const int64_t left = n - k;
    const Value column = ops::reshape(ops::slice_axis(a, 2, 0, 1), {batch, left});
    const Value row = ops::as_type(ops::argmax(ops::abs(column), 1, true), i32);  // [batch, 1]
    const Value places = ops::iota({batch, left}, i32, 1);
    const Value is_pivot = ops::compare(places, broadcast(row, places.shape()), "eq");
    const Value hot = ops::reshape(ops::convert(is_pivot, a.dtype()), {batch, left, 1});
    const Value pivot_row = ops::reduce_sum(a * broadcast(hot, a.shape()), {1}, true);  // [batch, 1, left]
    const Value pivot = ops::reshape(ops::slice_axis(pivot_row, 2, 0, 1), {batch});
    const Value swapped = ops::reshape(ops::compare(row, 0.0, "ne"), {batch});
    result = result * ops::select(swapped, -pivot, pivot);
    if (left == 1) break;
    // The first row takes the pivot's place.
    const Value first = ops::slice_axis(a, 1, 0, 1);
    const Value mixed =
        ops::select(broadcast(ops::reshape(is_pivot, {batch, left, 1}), a.shape()), broadcast(first, a.shape()), a);
    const Value rest = ops::slice_axis(mixed, 1, 1, left);
    const Value safe = ops::select(ops::compare(pivot, 0.0, "eq"), ops::filled_like(pivot, 1.0), pivot);
    const Value factor =
        ops::slice_axis(rest, 2, 0, 1) / broadcast(ops::reshape(safe, {batch, 1, 1}), {batch, left - 1, 1});
    a = ops::slice_axis(rest - broadcast(factor, rest.shape()) * broadcast(pivot_row, rest.shape()), 2, 1, left);
  }
  c.result(ops::as_type(ops::reshape(result, rows), c.dtype(0)));
}

}  // namespace

std::span<const Mapping> contraction_mappings() {
  static constexpr Mapping table[] = {
      {"Det", det, 11},
      {"Einsum", einsum, 12},
      {"Gemm", gemm},
      {"MatMul", matmul},
      {"MatMulInteger", matmul_integer, 10},
      {"QLinearMatMul", qlinear_matmul, 10},
  };
  return table;
}

}  // namespace trireme::formats::onnx
