// The loss of a classifier and its gradient, in kernels of our own: taken apart they are twenty launches for little
// work. Rows are [rows, classes] with the class axis last.
#include <cmath>
#include <limits>

#include "chips/kunlun/arithmetic.h"
#include "chips/kunlun/cores.h"

namespace trireme::kunlun {
namespace {

constexpr int kChunk = 64;  // elements in LM at a time

struct Task {
  int64_t rows, classes, ignored;
  float own, even;  // what a label's class and every class have of the target
  bool mean, each;  // the loss is the mean over the rows that count; it is one number for each row
};

template <class T>
void load(const T* gm, const xtdk::Pointer<T>& stage, const xtdk::Pointer<float>& to, int64_t n) {
  GM2LM(gm, stage, n * sizeof(T));
  for (int64_t i = 0; i < n; ++i) to[i] = static_cast<float>(static_cast<T>(stage[i]));
}

// What of a row both kernels want.
struct Sums {
  float top = -std::numeric_limits<float>::infinity(), exponentials = 0, all = 0, at_label = 0;
  float log_sum() const { return top + std::log(exponentials); }
};

template <class T>
Sums sums_of(const T* row, int64_t classes, int64_t label, const xtdk::Pointer<T>& stage,
             const xtdk::Pointer<float>& x) {
  Sums sums;
  for (int64_t first = 0; first < classes; first += kChunk) {
    const int64_t n = min<int64_t>(kChunk, classes - first);
    load(row + first, stage, x, n);
    float top = sums.top;
    for (int64_t i = 0; i < n; ++i) {
      const float value = x[i];
      top = top > value || top != top ? top : value;
      sums.all += value;
    }
    if (top != sums.top) sums.exponentials *= std::exp(sums.top - top);
    sums.top = top;
    for (int64_t i = 0; i < n; ++i) sums.exponentials += std::exp(static_cast<float>(x[i]) - top);
    if (label >= first && label < first + n) sums.at_label = x[label - first];
  }
  return sums;
}

template <class TID>
int64_t within(TID label, int64_t classes) {
  return min<int64_t>(max<int64_t>(static_cast<int64_t>(label), 0), classes - 1);
}

// A loss for each row, 0 where it does not count.
template <class T, class TID>
__global__ void row_losses(Task task, const T* x, const TID* labels, float* losses) {
  XTDK_LOCAL(T, stage, kChunk);
  XTDK_LOCAL(float, values, kChunk);
  XTDK_LOCAL(TID, label, 1);
  XTDK_LOCAL(float, loss, 1);
  const int64_t thread = core_num() * cluster_id() + core_id(), threads = core_num() * cluster_num();
  for (int64_t row = thread; row < task.rows; row += threads) {
    GM2LM(labels + row, label, sizeof(TID));
    const TID given = label[0];
    const Sums sums = sums_of<T>(x + row * task.classes, task.classes, within(given, task.classes), stage, values);
    const float kept = sums.log_sum() - task.own * sums.at_label - task.even * sums.all;
    loss[0] = static_cast<int64_t>(given) == task.ignored ? 0.0f : kept;
    LM2GM(loss, losses + row, sizeof(float));
  }
}

// One cluster: result[0] is the sum of the losses, if there are any, over the number of rows that count (at least 1)
// where the mean is asked for.
template <class TID>
__global__ void total(Task task, const float* losses, const TID* labels, float* result) {
  XTDK_LOCAL(TID, label, kChunk);
  XTDK_LOCAL(float, loss, kChunk);
  XTDK_SHARED(float, sums, kChunk);
  XTDK_SHARED(float, counts, kChunk);
  float sum = 0, count = 0;
  for (int64_t first = core_id() * kChunk; first < task.rows; first += core_num() * kChunk) {
    const int64_t n = min<int64_t>(kChunk, task.rows - first);
    GM2LM(labels + first, label, n * sizeof(TID));
    for (int64_t i = 0; i < n; ++i) count += static_cast<int64_t>(static_cast<TID>(label[i])) == task.ignored ? 0 : 1;
    if (losses == nullptr) continue;
    GM2LM(losses + first, loss, n * sizeof(float));
    for (int64_t i = 0; i < n; ++i) sum += loss[i];
  }
  sums[core_id()] = sum;
  counts[core_id()] = count;
  sync_cluster();
  if (core_id() != 0) return;
  sum = count = 0;
  for (int i = 0; i < core_num(); ++i) sum += sums[i], count += counts[i];
  loss[0] = (losses == nullptr ? 1.0f : sum) / (task.mean && count > 1 ? count : 1.0f);
  LM2GM(loss, result, sizeof(float));
}

// dx = (softmax(x) - target) dy, times `share` where the loss was a mean.
template <class T, class TID>
__global__ void row_gradients(Task task, const T* x, const TID* labels, const float* dy, const float* share, T* dx) {
  XTDK_LOCAL(T, stage, kChunk);
  XTDK_LOCAL(float, values, kChunk);
  XTDK_LOCAL(TID, label, 1);
  XTDK_LOCAL(float, seeds, 2);
  const int64_t thread = core_num() * cluster_id() + core_id(), threads = core_num() * cluster_num();
  seeds[1] = 1.0f;
  if (task.mean) GM2LM(share, seeds + 1, sizeof(float));
  for (int64_t row = thread; row < task.rows; row += threads) {
    GM2LM(labels + row, label, sizeof(TID));
    GM2LM(dy + (task.each ? row : 0), seeds, sizeof(float));
    const int64_t given = static_cast<TID>(label[0]), at = within(given, task.classes);
    const float seed = given == task.ignored ? 0.0f : seeds[0] * seeds[1];
    const Sums sums = sums_of<T>(x + row * task.classes, task.classes, at, stage, values);
    for (int64_t first = 0; first < task.classes; first += kChunk) {
      const int64_t n = min<int64_t>(kChunk, task.classes - first);
      if (task.classes > kChunk) load(x + row * task.classes + first, stage, values, n);
      for (int64_t i = 0; i < n; ++i) {
        const float part = std::exp(static_cast<float>(values[i]) - sums.top) / sums.exponentials;
        const float target = task.even + (first + i == at ? task.own : 0.0f);
        stage[i] = T(given == task.ignored ? 0.0f : (part - target) * seed);
      }
      LM2GM(stage, dx + row * task.classes + first, n * sizeof(T));
    }
  }
}

Task task_of(const Builder& b) {
  const TrmValue x = b.input(0);
  want(x.rank > 0 && axis_of(b.node(), "axis", x.rank) == x.rank - 1, TRM_REASON_ATTRIBUTE,
       "classes along another axis than the last");
  const int64_t classes = x.dims[x.rank - 1];
  const double smoothing = b.node().number("label_smoothing");
  const std::string_view reduction = b.node().string("reduction");
  want(chip::elements(x) > 0, TRM_REASON_SHAPE, "no rows");
  return {chip::elements(x) / classes,
          classes,
          b.node().integer("ignore_index"),
          static_cast<float>(1 - smoothing),
          static_cast<float>(smoothing / static_cast<double>(classes)),
          reduction == "mean",
          reduction == "none"};
}

// Cycles of a core for the rows that it has: it waits for each copy, and goes through a row an element at a time.
double cycles_of(const Task& task, const Grid& grid, double passes) {
  constexpr double kOfElement = 12;  // read, compare, subtract, exponential, add
  const int64_t cores = int64_t{grid.clusters} * grid.cores, rows = (task.rows + cores - 1) / cores;
  const int64_t pieces = (task.classes + kChunk - 1) / kChunk;
  const double row = static_cast<double>(pieces) * kReadCycles + kOfElement * static_cast<double>(task.classes);
  return static_cast<double>(rows) * (kReadCycles + kWriteCycles + passes * row);
}

void total_step(Builder& b, const Task& task, uint32_t losses, uint32_t labels, uint32_t result) {
  const Grid grid{1, b.card().cores()};
  const int64_t pieces = (task.rows + kChunk - 1) / kChunk;
  const double cycles = static_cast<double>((pieces + grid.cores - 1) / grid.cores) * (2 * kReadCycles + 6 * kChunk);
  const auto call = [&]<class TID>(TID) {
    b.own_step("total", grid, cycles, 8.0 * static_cast<double>(task.rows), [=](const Run& run) {
      return launched(XTDK_LAUNCH(total<TID>, grid.clusters, grid.cores, run.context->xpu_stream)(
          task, losses == TRM_ABSENT ? nullptr : run.at<float>(losses), run.at<TID>(labels), run.at<float>(result)));
    });
  };
  if (b.input(1).dtype == TRM_I64) call(int64_t{});
  else call(int32_t{});
}

template <class F>
void by_types(const Builder& b, F f) {
  by_float(b.input(0).dtype, [&]<class T>(T) {
    if (b.input(1).dtype == TRM_I64) f(T{}, int64_t{});
    else f(T{}, int32_t{});
  });
}

void cross_entropy(Builder& b) {
  want_cores(b);
  const Task task = task_of(b);
  const uint32_t x = b.dense(0), labels = b.dense(1), y = b.result();
  const uint32_t losses = task.each ? y : b.temporary(static_cast<size_t>(task.rows) * sizeof(float));
  const Grid grid = grid_for(b.card(), task.rows);
  by_types(b, [&]<class T, class TID>(T, TID) {
    b.own_step("row_losses", grid, cycles_of(task, grid, 1), static_cast<double>(bytes_of(b.input(0))),
               [=](const Run& run) {
                 return launched(XTDK_LAUNCH((row_losses<T, TID>), grid.clusters, grid.cores, run.context->xpu_stream)(
                     task, run.at<T>(x), run.at<TID>(labels), run.at<float>(losses)));
               });
  });
  if (!task.each) total_step(b, task, losses, labels, y);
}

void cross_entropy_gradient(Builder& b) {
  want_cores(b);
  const Task task = task_of(b);
  const uint32_t x = b.dense(0), labels = b.dense(1), dy = as_floats(b, 2), dx = b.result();
  const uint32_t share = b.temporary(sizeof(float));
  if (task.mean) total_step(b, task, TRM_ABSENT, labels, share);
  const Grid grid = grid_for(b.card(), task.rows);
  by_types(b, [&]<class T, class TID>(T, TID) {
    b.own_step(
        "row_gradients", grid, cycles_of(task, grid, 2), 2.0 * static_cast<double>(bytes_of(b.input(0))),
        [=](const Run& run) {
          return launched(XTDK_LAUNCH((row_gradients<T, TID>), grid.clusters, grid.cores, run.context->xpu_stream)(
              task, run.at<T>(x), run.at<TID>(labels), run.at<float>(dy), run.at<float>(share), run.at<T>(dx)));
        });
  });
}

constexpr KernelEntry kEntries[] = {
    {"cross_entropy", chip_floats, cross_entropy},
    {"cross_entropy_gradient", chip_floats, cross_entropy_gradient},
};

}  // namespace

std::span<const KernelEntry> loss_kernels() { return kEntries; }

}  // namespace trireme::kunlun
