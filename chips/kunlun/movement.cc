// Ops that make or move elements without computing.
#include <algorithm>
#include <cmath>
#include <limits>

#include "chips/kunlun/kernel.h"

namespace trireme::kunlun {
namespace {

void strided_copy(Builder& b) {
  const TrmValue x = b.input(0), y = b.output();
  const uint32_t from = b.raw(0), to = b.node().outputs()[0];
  const api::Shape shape = shape_of(x), read(x.strides, x.strides + x.rank), write(y.strides, y.strides + y.rank);
  const double bytes = 2.0 * static_cast<double>(bytes_of(x));
  by_size(x.dtype, [&]<class T>(T) {
    if (chip::is_dense(x) && chip::is_dense(y)) {
      const int64_t count = chip::elements(x);
      b.step("copy", bytes,
             [=](const Run& run) { return api::copy<T>(run.context, run.at<T>(from), run.at<T>(to), count); });
      return;
    }
    b.step("strided_copy", bytes, [=](const Run& run) {
      return api::strided_copy<T>(run.context, run.at<T>(from), run.at<T>(to), shape, shape, read, write);
    });
  });
}

void fill(Builder& b) {
  const uint32_t y = b.result();
  const int64_t count = chip::elements(b.output());
  const double value = b.node().number("value");
  const uint32_t dtype = b.output().dtype;
  const auto store = [&]<class T>(T item) {
    b.step("constant", static_cast<double>(bytes_of(b.output())),
           [=](const Run& run) { return api::constant<T>(run.context, run.at<T>(y), count, item); });
  };
  if (chip_floats.has(static_cast<DType>(dtype))) {
    return by_float(dtype, [&]<class T>(T) { store(T(static_cast<float>(value))); });
  }
  if (dtype == TRM_BOOL) return store(static_cast<int8_t>(value != 0));
  // Cut off and saturated, as a conversion: the bits of the type, whatever its sign.
  visit_dtype(static_cast<DType>(dtype), [&]<class T>() {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      T item = 0;
      if (value >= static_cast<double>(std::numeric_limits<T>::max())) item = std::numeric_limits<T>::max();
      else if (value <= static_cast<double>(std::numeric_limits<T>::min())) item = std::numeric_limits<T>::min();
      else if (!std::isnan(value)) item = static_cast<T>(value);
      by_size(dtype, [&]<class Bits>(Bits) {
        if constexpr (sizeof(Bits) == sizeof(T)) store(static_cast<Bits>(item));
      });
    }
  });
}

void iota(Builder& b) {
  const TrmValue y = b.output();
  const auto axis = static_cast<uint32_t>(axis_of(b.node(), "axis", y.rank));
  const int64_t size = y.dims[axis];
  const bool line = chip::elements(y) == size;
  const uint32_t numbers = line ? b.result() : b.temporary(static_cast<size_t>(size) * chip::size_of(y.dtype));
  by_number(y.dtype, [&]<class T>(T) {
    b.step("range", static_cast<double>(size) * sizeof(T),
           [=](const Run& run) { return api::range<T>(run.context, run.at<T>(numbers), T(0.0f), T(1.0f), size); });
    if (line) return;
    const uint32_t to = b.result();
    const api::Shape shape = shape_of(y);
    const TrmValue dense = dense_value(y.dtype, shape);
    api::Shape read(y.rank, 0);
    read[axis] = 1;
    const api::Shape write(dense.strides, dense.strides + dense.rank);
    b.step("strided_copy", static_cast<double>(bytes_of(y)), [=](const Run& run) {
      return api::strided_copy<T>(run.context, run.at<T>(numbers), run.at<T>(to), shape, shape, read, write);
    });
  });
}

void concat(Builder& b) {
  std::vector<uint32_t> parts;
  std::vector<api::Shape> shapes;
  for (uint32_t i = 0; i < b.node().inputs().size(); ++i) {
    parts.push_back(b.dense(i));
    shapes.push_back(shape_of(b.input(i)));
  }
  const uint32_t y = b.result();
  const int64_t axis = axis_of(b.node(), "axis", b.output().rank);
  by_size(b.output().dtype, [&]<class T>(T) {
    b.step("concat", 2.0 * static_cast<double>(bytes_of(b.output())), [=](const Run& run) {
      std::vector<const T*> list;
      for (const uint32_t part : parts) list.push_back(run.at<T>(part));
      return api::concat<T>(run.context, list, run.at<T>(y), shapes, axis);
    });
  });
}

void pad(Builder& b) {
  const auto all = [&](const char* name, int64_t least, int64_t most) {
    const auto list = b.node().integers(name);
    want(std::all_of(list.begin(), list.end(), [&](int64_t n) { return n >= least && n <= most; }),
         TRM_REASON_ATTRIBUTE, "cutting off, or padding between elements");
    return api::Shape(list.begin(), list.end());
  };
  constexpr int64_t kMost = int64_t{1} << 40;
  all("interior", 0, 0);
  const api::Shape low = all("low", 0, kMost), high = all("high", 0, kMost), shape = shape_of(b.input(0));
  const uint32_t x = b.dense(0), y = b.result();
  const double value = b.node().number("value");
  const double bytes = static_cast<double>(bytes_of(b.input(0)) + bytes_of(b.output()));
  const auto call = [&]<class T>(T item) {
    b.step("pad", bytes, [=](const Run& run) {
      return api::pad<T>(run.context, run.at<T>(x), run.at<T>(y), shape, low, high, item);
    });
  };
  if (chip_floats.has(dtype_of(b.output()))) {
    return by_float(b.output().dtype, [&]<class T>(T) { call(T(static_cast<float>(value))); });
  }
  by_size(b.output().dtype, [&]<class T>(T) { call(static_cast<T>(value)); });
}

constexpr KernelEntry kEntries[] = {
    {"concat", any_dtype, concat},
    {"pad", chip_floats | wide_ints | bools, pad},
    {"strided_copy", any_dtype, strided_copy},
    {"fill", any_dtype, fill},
    {"iota", chip_floats | wide_ints | only(u32) | only(u64), iota},
};

}  // namespace

std::span<const KernelEntry> movement_kernels() { return kEntries; }

}  // namespace trireme::kunlun
