#include "trireme/data/loader.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <new>
#include <numeric>
#include <thread>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::data {

namespace {

using Order = std::shared_ptr<const std::vector<int64_t>>;

// A made batch, or why it could not be made. The failure is kept as a value, not as an exception in flight between
// threads, so that it can be thrown as often as it is asked for.
struct Outcome {
  Batch batch;
  std::optional<Error> failure;
};

}  // namespace

struct DataLoader::Shared {
  DatasetPointer dataset;
  LoaderOptions options;
  int64_t per_epoch = 0;  // batches

  // Batches are numbered through: number = epoch * per_epoch + index. Guarded by `mutex`:
  mutable std::mutex mutex;
  std::condition_variable work_changed, ready_changed;
  int64_t to_give = 0;               // handed out next
  int64_t to_make = 0;               // taken by a worker next
  std::map<int64_t, Outcome> ready;  // made, not yet handed out
  int64_t generation = 0;            // counts seeks: work begun before one is thrown away
  bool stopping = false;

  std::mutex order_mutex;
  std::map<int64_t, Order> orders;  // by epoch; the newest two are kept
  std::vector<std::thread> workers;

  int64_t limit() const {
    return options.epochs > 0 ? options.epochs * per_epoch : std::numeric_limits<int64_t>::max();
  }

  Order order_of(int64_t epoch) {
    const std::lock_guard lock(order_mutex);
    Order& order = orders[epoch];
    if (order == nullptr) {
      RandomStream random(options.seed, Purpose::kShuffle, static_cast<uint64_t>(epoch));
      order = std::make_shared<const std::vector<int64_t>>(permutation(dataset->size(), random));
    }
    const Order wanted = order;
    while (orders.size() > 2) orders.erase(orders.begin());
    return wanted;
  }

  Example example(int64_t index, int64_t epoch) const {
    Example example = dataset->example(index);
    if (options.transform) {
      RandomStream random(options.seed, Purpose::kTransform, static_cast<uint64_t>(epoch),
                          static_cast<uint64_t>(index));
      example = options.transform(std::move(example), random);
    }
    return example;
  }

  Batch assemble(int64_t number) {
    Batch batch;
    batch.epoch = number / per_epoch;
    batch.index = number % per_epoch;
    batch.last = batch.index + 1 == per_epoch;
    const int64_t begin = batch.index * options.batch_size;
    const int64_t end = std::min(begin + options.batch_size, dataset->size());
    batch.examples.resize(static_cast<size_t>(end - begin));
    if (options.shuffle) {
      const Order order = order_of(batch.epoch);
      std::copy(order->begin() + begin, order->begin() + end, batch.examples.begin());
    } else {
      std::iota(batch.examples.begin(), batch.examples.end(), begin);
    }
    std::vector<Example> examples;
    examples.reserve(batch.examples.size());
    for (const int64_t index : batch.examples) {
      try {
        examples.push_back(example(index, batch.epoch));
      } catch (const Error& error) {
        throw Error(error.code(), cat(dataset->describe(index), ": ", error.what()), error.rule());
      } catch (const std::bad_alloc&) {
        throw Error(Code::kOutOfMemory, cat(dataset->describe(index), ": not enough memory on the host"));
      } catch (const std::exception& error) {
        throw Error(Code::kInternal, cat(dataset->describe(index), ": ", error.what()));
      }
    }
    try {
      batch.fields = stack(examples);
    } catch (const Error& error) {
      throw Error(error.code(), cat("batch ", batch.index, " of epoch ", batch.epoch, " (from ",
                                    dataset->describe(batch.examples.front()), " to ",
                                    dataset->describe(batch.examples.back()), "): ", error.what()));
    }
    return batch;
  }

  Outcome make(int64_t number) {
    try {
      return {assemble(number), {}};
    } catch (const Error& error) {
      return {{}, error};
    } catch (const std::exception& error) {
      return {{}, Error(Code::kInternal, cat("batch ", number % per_epoch, ": ", error.what()))};
    }
  }

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      work_changed.wait(lock, [&] { return stopping || (to_make < limit() && to_make < to_give + options.prefetch); });
      if (stopping) return;
      const int64_t number = to_make++, begun_in = generation;
      lock.unlock();
      Outcome outcome = make(number);
      lock.lock();
      if (begun_in != generation) continue;
      ready.emplace(number, std::move(outcome));
      ready_changed.notify_all();
    }
  }

  void stop() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    work_changed.notify_all();
    for (std::thread& worker : workers) worker.join();
  }
};

DataLoader::DataLoader(DatasetPointer dataset, LoaderOptions options) : shared_(std::make_unique<Shared>()) {
  TRIREME_CHECK(dataset != nullptr, "a loader needs a data set");
  const auto at_least = [](std::string_view what, int64_t value, int64_t least) {
    if (value < least) {
      throw Error(Code::kInvalidArgument, cat("data loader: ", what, " is ", value, "; give ", least, " or more"));
    }
  };
  at_least("the number of examples", dataset->size(), 1);
  at_least("batch_size", options.batch_size, 1);
  at_least("workers", options.workers, 0);
  at_least("prefetch", options.prefetch, 1);
  at_least("epochs", options.epochs, 0);
  const int64_t size = dataset->size(), whole = size / options.batch_size;
  shared_->per_epoch = options.drop_last || size % options.batch_size == 0 ? whole : whole + 1;
  if (shared_->per_epoch == 0) {
    throw Error(Code::kInvalidArgument,
                cat("data loader: a batch of ", options.batch_size, " is more than the ", size,
                    " examples, and drop_last leaves out smaller batches; make batch_size smaller"));
  }
  shared_->dataset = std::move(dataset);
  shared_->options = std::move(options);
  try {
    for (int i = 0; i < shared_->options.workers; ++i) {
      shared_->workers.emplace_back([shared = shared_.get()] { shared->work(); });
    }
  } catch (const std::exception& error) {
    shared_->stop();
    throw Error(Code::kOutOfMemory, cat("data loader: cannot start ", shared_->options.workers,
                                        " worker threads: ", error.what(), "; ask for fewer"));
  }
}

DataLoader::~DataLoader() { shared_->stop(); }

std::optional<Batch> DataLoader::next() {
  Shared& s = *shared_;
  std::unique_lock lock(s.mutex);
  if (s.to_give >= s.limit()) return std::nullopt;
  auto made = s.ready.find(s.to_give);
  if (made == s.ready.end() && s.options.workers == 0) {
    made = s.ready.emplace(s.to_give, s.make(s.to_give)).first;
  }
  s.ready_changed.wait(lock, [&] {
    made = s.ready.find(s.to_give);
    return made != s.ready.end();
  });
  if (made->second.failure) throw Error(*made->second.failure);
  Batch batch = std::move(made->second.batch);
  s.ready.erase(made);
  ++s.to_give;
  lock.unlock();
  s.work_changed.notify_one();
  return batch;
}

LoaderState DataLoader::state() const {
  const std::lock_guard lock(shared_->mutex);
  return {shared_->to_give / shared_->per_epoch, shared_->to_give % shared_->per_epoch};
}

void DataLoader::seek(const LoaderState& state) {
  Shared& s = *shared_;
  if (state.epoch < 0 || state.batch < 0 || state.batch > s.per_epoch) {
    throw Error(Code::kInvalidArgument, cat("data loader: there is no batch ", state.batch, " in epoch ", state.epoch,
                                            "; an epoch has ", s.per_epoch, " batches of ", s.options.batch_size,
                                            ": was the position saved with other data or another batch size?"));
  }
  {
    const std::lock_guard lock(s.mutex);
    ++s.generation;
    s.ready.clear();
    s.to_give = s.to_make = state.epoch * s.per_epoch + state.batch;
  }
  s.work_changed.notify_all();
}

int64_t DataLoader::batches_per_epoch() const { return shared_->per_epoch; }

const Dataset& DataLoader::dataset() const { return *shared_->dataset; }

std::vector<Literal> stack(const std::vector<Example>& examples) {
  TRIREME_CHECK(!examples.empty(), "no examples to stack");
  const Example& first = examples.front();
  std::vector<Literal> out;
  for (size_t field = 0; field < first.size(); ++field) {
    const size_t bytes = first[field].bytes();
    Literal joined =
        Literal::zeros(first[field].dtype(), first[field].shape().inserted(0, static_cast<int64_t>(examples.size())));
    auto* to = static_cast<std::byte*>(joined.mutable_data());
    for (size_t i = 0; i < examples.size(); ++i) {
      if (examples[i].size() != first.size()) {
        throw Error(Code::kInvalidArgument, cat("examples 0 and ", i, " of the batch have ", first.size(), " and ",
                                                examples[i].size(), " fields"));
      }
      const Literal& value = examples[i][field];
      if (value.dtype() != first[field].dtype() || !(value.shape() == first[field].shape())) {
        throw Error(Code::kInvalidArgument,
                    cat("field ", field, " is ", first[field].dtype(), first[field].shape(),
                        " in example 0 of the batch"
                        " and ",
                        value.dtype(), value.shape(), " in example ", i, "; resize or crop to one shape"));
      }
      if (bytes > 0) std::memcpy(to + i * bytes, value.data(), bytes);
    }
    out.push_back(std::move(joined));
  }
  return out;
}

}  // namespace trireme::data
