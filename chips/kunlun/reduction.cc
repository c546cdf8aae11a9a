// Sums, extremes and scans over axes.
#include "chips/kunlun/kernel.h"

namespace trireme::kunlun {
namespace {

api::Shape axes_of(const Builder& b) {
  const int64_t rank = b.input(0).rank;
  api::Shape axes;
  for (const int64_t axis : b.node().integers("axes")) axes.push_back(axis < 0 ? axis + rank : axis);
  if (axes.empty()) {
    for (int64_t axis = 0; axis < rank; ++axis) axes.push_back(axis);
  }
  return axes;
}

template <class T, class F>
void reduce_call(Builder& b, const char* name, F call) {
  const uint32_t x = b.dense(0), y = b.result();
  // A scalar has no axes to reduce over: it is one row of one.
  const api::Shape shape = b.input(0).rank == 0 ? api::Shape{1} : shape_of(b.input(0));
  const api::Shape axes = b.input(0).rank == 0 ? api::Shape{0} : axes_of(b);
  b.step(name, static_cast<double>(bytes_of(b.input(0))),
         [=](const Run& run) { return call(run.context, run.at<T>(x), run.at<T>(y), shape, axes); });
}

#define REDUCE(op_name, function, types, dispatch)                                                     \
  {                                                                                                    \
    op_name, types, [](Builder& b) {                                                                   \
      dispatch(b.input(0).dtype, [&]<class T>(T) { reduce_call<T>(b, #function, api::function<T>); }); \
    }                                                                                                  \
  }
#define REDUCE_BOOL(op_name, function)                                                       \
  {                                                                                          \
    op_name, bools, [](Builder& b) { reduce_call<bool>(b, #function, api::function<bool>); } \
  }

void cumsum(Builder& b) {
  const uint32_t x = b.dense(0), y = b.result();
  const api::Shape shape = shape_of(b.input(0));
  const bool reverse = b.node().flag("reverse"), exclusive = b.node().flag("exclusive");
  const int64_t axis = axis_of(b.node(), "axis", b.input(0).rank);
  by_number(b.input(0).dtype, [&]<class T>(T) {
    b.step("cumsum", 2.0 * static_cast<double>(bytes_of(b.input(0))), [=](const Run& run) {
      return api::cumsum<T>(run.context, run.at<T>(x), run.at<T>(y), shape, reverse, exclusive, axis);
    });
  });
}

template <bool kLargest>
void arg(Builder& b) {
  const uint32_t x = b.dense(0), y = b.result();
  const api::Shape shape = shape_of(b.input(0));
  const int64_t axis = axis_of(b.node(), "axis", b.input(0).rank);
  const auto call = [&]<class T, class TY>(T, TY) {
    b.step(kLargest ? "argmax" : "argmin", static_cast<double>(bytes_of(b.input(0))), [=](const Run& run) {
      return kLargest ? api::argmax<T, TY>(run.context, run.at<T>(x), run.at<TY>(y), shape, axis)
                      : api::argmin<T, TY>(run.context, run.at<T>(x), run.at<TY>(y), shape, axis);
    });
  };
  by_number(b.input(0).dtype, [&]<class T>(T) {
    if (b.output().dtype == TRM_I64) call(T{}, int64_t{});
    else call(T{}, int32_t{});
  });
}

constexpr DTypeSet kNumbers = chip_floats | wide_ints;
constexpr DTypeSet kWrapping = kNumbers | only(u32) | only(u64);

constexpr KernelEntry kEntries[] = {
    REDUCE("reduce_sum", reduce_sum, kWrapping, by_number),
    REDUCE("reduce_prod", reduce_prod, kWrapping, by_number),
    REDUCE("reduce_max", reduce_max, kNumbers, by_number),
    REDUCE("reduce_min", reduce_min, kNumbers, by_number),
    REDUCE("mean", reduce_mean, chip_floats, by_float),
    REDUCE("log_sum_exp", logsumexp, chip_floats, by_float),
    REDUCE_BOOL("reduce_and", reduce_all),
    REDUCE_BOOL("reduce_or", reduce_any),
    {"cumsum", kWrapping, cumsum},
    {"argmax", kNumbers, arg<true>},
    {"argmin", kNumbers, arg<false>},
};

}  // namespace

std::span<const KernelEntry> reduction_kernels() { return kEntries; }

}  // namespace trireme::kunlun
