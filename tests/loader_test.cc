#include "trireme/data/loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/data/transform.h"

namespace trireme::data {
namespace {

// Row i holds i and i*i.
DatasetPointer squares(int64_t count) {
  std::vector<int32_t> first, second;
  for (int32_t i = 0; i < count; ++i) {
    first.push_back(i);
    second.push_back(i * i);
  }
  return tensor_dataset(
      {{"number", Literal::from<int32_t>(first, {count})}, {"square", Literal::from<int32_t>(second, {count, 1})}});
}

// A data set that fails at chosen examples, slowly enough for threads to overtake each other.
class Troubled final : public Dataset {
 public:
  Troubled(int64_t size, std::function<void(int64_t)> before) : inner_(squares(size)), before_(std::move(before)) {}
  int64_t size() const override { return inner_->size(); }
  const std::vector<Field>& fields() const override { return inner_->fields(); }
  Example example(int64_t index) const override {
    before_(index);
    return inner_->example(index);
  }

 private:
  DatasetPointer inner_;
  std::function<void(int64_t)> before_;
};

std::vector<Batch> take(DataLoader& loader, int64_t count) {
  std::vector<Batch> out;
  for (int64_t i = 0; i < count; ++i) {
    auto batch = loader.next();
    EXPECT_TRUE(batch.has_value());
    if (!batch) break;
    out.push_back(std::move(*batch));
  }
  return out;
}

void expect_same(const std::vector<Batch>& a, const std::vector<Batch>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].epoch, b[i].epoch);
    EXPECT_EQ(a[i].index, b[i].index);
    EXPECT_EQ(a[i].last, b[i].last);
    EXPECT_EQ(a[i].examples, b[i].examples);
    ASSERT_EQ(a[i].fields.size(), b[i].fields.size());
    for (size_t f = 0; f < a[i].fields.size(); ++f) {
      EXPECT_TRUE(a[i].fields[f].same_bytes(b[i].fields[f])) << "batch " << i << " field " << f;
    }
  }
}

Error error_of(auto&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return {Code::kInternal, ""};
}

// Adds noise, so that the random stream shows in the bytes.
Example noisy(Example example, RandomStream& random) {
  const double noise = random.uniform();
  example[1] = Literal::from_doubles(f32, {1}, std::vector<double>{example[1].at(0) + noise});
  return example;
}

TEST(RandomStream, EveryValueBelowIsEquallyLikely) {
  RandomStream random(7, Purpose::kDraw);
  std::vector<int> counts(6);
  for (int i = 0; i < 60000; ++i) ++counts[random.below(6)];
  for (const int count : counts) EXPECT_NEAR(count, 10000, 6 * std::sqrt(60000.0 / 6 * 5 / 6));
  std::set<uint64_t> high;
  for (int i = 0; i < 100; ++i) {
    const uint64_t value = random.below(uint64_t{1} << 40);
    EXPECT_LT(value, uint64_t{1} << 40);
    high.insert(value >> 32);
  }
  EXPECT_GT(high.size(), 50u) << "values above 32 bits use a second word";
  EXPECT_EQ(random.below(1), 0u);
}

TEST(RandomStream, KeysGiveUnlikeStreams) {
  std::set<std::vector<uint32_t>> seen;
  for (uint64_t seed : {0u, 1u}) {
    for (Purpose purpose : {Purpose::kShuffle, Purpose::kTransform}) {
      for (uint64_t epoch : {0u, 1u}) {
        for (uint64_t index : {0u, 1u, 2u}) {
          RandomStream random(seed, purpose, epoch, index);
          seen.insert({random.bits(), random.bits(), random.bits()});
        }
      }
    }
  }
  EXPECT_EQ(seen.size(), 24u);
}

TEST(RandomStream, EveryPermutationAppears) {
  std::map<std::vector<int64_t>, int> counts;
  for (uint64_t epoch = 0; epoch < 24000; ++epoch) {
    RandomStream random(3, Purpose::kShuffle, epoch);
    ++counts[permutation(4, random)];
  }
  EXPECT_EQ(counts.size(), 24u);
  for (const auto& [order, count] : counts) EXPECT_NEAR(count, 1000, 6 * std::sqrt(1000.0));
}

TEST(DataLoader, AnEpochIsAPermutationOfTheData) {
  for (const bool drop_last : {false, true}) {
    DataLoader loader(squares(103), {.batch_size = 10, .drop_last = drop_last, .seed = 5});
    EXPECT_EQ(loader.batches_per_epoch(), drop_last ? 10 : 11);
    std::vector<std::vector<int64_t>> epochs;
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      std::vector<int64_t> seen;
      for (const Batch& batch : take(loader, loader.batches_per_epoch())) {
        EXPECT_EQ(batch.epoch, epoch);
        EXPECT_EQ(batch.last, batch.index + 1 == loader.batches_per_epoch());
        EXPECT_EQ(batch.fields[0].shape(), (Shape{static_cast<int64_t>(batch.examples.size())}));
        EXPECT_EQ(batch.fields[1].shape(), (Shape{static_cast<int64_t>(batch.examples.size()), 1}));
        for (size_t i = 0; i < batch.examples.size(); ++i) {
          seen.push_back(batch.fields[0].values<int32_t>()[i]);
          EXPECT_EQ(seen.back(), batch.examples[i]);
          EXPECT_EQ(batch.fields[1].values<int32_t>()[i], seen.back() * seen.back());
        }
      }
      EXPECT_EQ(seen.size(), drop_last ? 100u : 103u);
      EXPECT_EQ(std::set<int64_t>(seen.begin(), seen.end()).size(), seen.size());
      EXPECT_FALSE(std::is_sorted(seen.begin(), seen.end()));
      epochs.push_back(seen);
    }
    EXPECT_NE(epochs[0], epochs[1]);
    EXPECT_NE(epochs[1], epochs[2]);
  }
}

TEST(DataLoader, UnshuffledKeepsTheOrderAndEnds) {
  DataLoader loader(squares(7), {.batch_size = 3, .shuffle = false, .epochs = 2, .workers = 2});
  std::vector<int64_t> seen;
  while (const auto batch = loader.next()) seen.insert(seen.end(), batch->examples.begin(), batch->examples.end());
  EXPECT_EQ(seen, (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6}));
  EXPECT_FALSE(loader.next().has_value());
  loader.seek({1, 2});
  EXPECT_EQ(loader.next()->examples, std::vector<int64_t>{6});
  EXPECT_FALSE(loader.next().has_value());
}

TEST(DataLoader, SameBitsWithAnyNumberOfWorkers) {
  const auto slow = std::make_shared<Troubled>(50, [](int64_t index) {
    if (index % 7 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
  });
  std::vector<Batch> expected;
  for (const int workers : {0, 1, 4}) {
    for (const int64_t prefetch : {int64_t{1}, int64_t{9}}) {
      DataLoader loader(slow,
                        {.batch_size = 4, .seed = 11, .workers = workers, .prefetch = prefetch, .transform = noisy});
      const std::vector<Batch> got = take(loader, 40);
      if (expected.empty()) expected = got;
      expect_same(got, expected);
    }
  }
  DataLoader other(slow, {.batch_size = 4, .seed = 12, .transform = noisy});
  EXPECT_NE(take(other, 1)[0].examples, expected[0].examples) << "another seed, another order";
}

TEST(DataLoader, TransformsAreDrawnPerEpochAndExample) {
  DataLoader loader(squares(5), {.batch_size = 5, .shuffle = false, .transform = noisy});
  const std::vector<Batch> epochs = take(loader, 2);
  std::set<double> noise;
  for (const Batch& batch : epochs) {
    for (int64_t i = 0; i < 5; ++i) noise.insert(batch.fields[1].at(i) - static_cast<double>(i * i));
  }
  EXPECT_EQ(noise.size(), 10u);
}

TEST(DataLoader, ResumeEqualsTheUninterruptedRun) {
  const auto options = [](int workers) {
    return LoaderOptions{.batch_size = 4, .seed = 3, .workers = workers, .prefetch = 3, .transform = noisy};
  };
  DataLoader whole(squares(30), options(2));
  const std::vector<Batch> expected = take(whole, 40);
  for (const size_t stop : {size_t{0}, size_t{1}, size_t{7}, size_t{8}, size_t{9}, size_t{29}}) {
    LoaderState state;
    {
      DataLoader first(squares(30), options(4));
      take(first, static_cast<int64_t>(stop));
      state = first.state();
    }
    EXPECT_EQ(state, (LoaderState{static_cast<int64_t>(stop) / 8, static_cast<int64_t>(stop) % 8}));
    DataLoader second(squares(30), options(1));
    second.seek(state);
    EXPECT_EQ(second.state(), state);
    expect_same(take(second, static_cast<int64_t>(expected.size() - stop)),
                {expected.begin() + static_cast<ptrdiff_t>(stop), expected.end()});
  }
  whole.seek({0, 8});  // the end of an epoch is the start of the next
  EXPECT_EQ(whole.state(), (LoaderState{1, 0}));
  expect_same(take(whole, 3), {expected.begin() + 8, expected.begin() + 11});
}

TEST(DataLoader, ErrorsSurfaceAtTheirBatchAndNameTheExample) {
  for (const int workers : {0, 1, 4}) {
    const auto troubled = std::make_shared<Troubled>(40, [](int64_t index) {
      if (index == 21) throw Error(Code::kDataLoss, "the picture is torn");
      if (index == 33) throw std::runtime_error("something else");
    });
    DataLoader loader(troubled, {.batch_size = 4, .shuffle = false, .workers = workers, .prefetch = 8});
    take(loader, 5);
    for (int again = 0; again < 2; ++again) {
      const Error error = error_of([&] { loader.next(); });
      EXPECT_EQ(error.code(), Code::kDataLoss);
      EXPECT_STREQ(error.what(), "example 21: the picture is torn");
      EXPECT_EQ(loader.state(), (LoaderState{0, 5}));
    }
    loader.seek({0, 6});  // the caller may decide to go on behind it
    EXPECT_EQ(loader.next()->examples[0], 24);
    take(loader, 1);
    const Error error = error_of([&] { loader.next(); });
    EXPECT_EQ(error.code(), Code::kInternal);
    EXPECT_STREQ(error.what(), "example 33: something else");
  }
}

TEST(DataLoader, UnlikeShapesNameTheBatch) {
  DataLoader loader(squares(6), {.batch_size = 3, .shuffle = false, .transform = [](Example example, RandomStream&) {
                                   if (example[0].at(0) == 4) example[1] = Literal::zeros(f32, {2});
                                   return example;
                                 }});
  take(loader, 1);
  const std::string what = error_of([&] { loader.next(); }).what();
  for (const char* part : {"batch 1 of epoch 0", "example 3", "i32[1]", "f32[2]", "resize"}) {
    EXPECT_NE(what.find(part), std::string::npos) << what;
  }
}

TEST(DataLoader, PrefetchIsBounded) {
  std::atomic<int64_t> read{0};
  const auto counted = std::make_shared<Troubled>(1000, [&](int64_t) { ++read; });
  DataLoader loader(counted, {.batch_size = 10, .workers = 4, .prefetch = 3});
  take(loader, 2);
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (read < 50 && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(read.load(), 50) << "2 batches given out and 3 ahead";
}

TEST(DataLoader, ShutsDownAtAnyTime) {
  const auto slow = std::make_shared<Troubled>(64, [](int64_t index) {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
    if (index == 13) throw std::runtime_error("never asked for");
  });
  for (int round = 0; round < 30; ++round) {
    DataLoader loader(slow, {.batch_size = 4, .seed = static_cast<uint64_t>(round), .workers = 4});
    if (round % 3 != 0) {
      try {
        take(loader, round % 3);
      } catch (const Error&) {
      }
    }
    if (round % 2 == 0) loader.seek({round, 3});
  }
}

TEST(DataLoader, SeekWhileWorkersAreBusy) {
  const auto slow =
      std::make_shared<Troubled>(64, [](int64_t) { std::this_thread::sleep_for(std::chrono::microseconds(20)); });
  DataLoader loader(slow, {.batch_size = 4, .seed = 1, .workers = 4});
  DataLoader plain(slow, {.batch_size = 4, .seed = 1, .workers = 0});
  RandomStream random(1, Purpose::kDraw);
  for (int round = 0; round < 50; ++round) {
    const LoaderState state{static_cast<int64_t>(random.below(3)), static_cast<int64_t>(random.below(16))};
    loader.seek(state);
    plain.seek(state);
    if (round % 2 == 0) expect_same(take(loader, 2), take(plain, 2));
  }
}

TEST(DataLoader, RefusesSenselessOptions) {
  EXPECT_EQ(error_of([] { DataLoader(squares(0), {}); }).code(), Code::kInvalidArgument);
  EXPECT_EQ(error_of([] { DataLoader(squares(3), {.batch_size = 0}); }).code(), Code::kInvalidArgument);
  EXPECT_EQ(error_of([] { DataLoader(squares(3), {.workers = -1}); }).code(), Code::kInvalidArgument);
  EXPECT_EQ(error_of([] { DataLoader(squares(3), {.prefetch = 0}); }).code(), Code::kInvalidArgument);
  EXPECT_EQ(error_of([] { DataLoader(squares(3), {.batch_size = 4, .drop_last = true}); }).code(),
            Code::kInvalidArgument);
  DataLoader loader(squares(3), {.batch_size = 2});
  EXPECT_EQ(error_of([&] { loader.seek({0, 3}); }).code(), Code::kInvalidArgument);
  EXPECT_EQ(error_of([&] { loader.seek({-1, 0}); }).code(), Code::kInvalidArgument);
}

TEST(Split, PartsAreDisjointAndComplete) {
  const DatasetPointer whole = squares(20);
  for (const Split& split : {hold_back_last(whole, 6), hold_back_random(whole, 6, 1), hold_back_random(whole, 0, 1)}) {
    std::set<double> seen;
    for (const DatasetPointer& part : {split.train, split.validation}) {
      for (int64_t i = 0; i < part->size(); ++i) EXPECT_TRUE(seen.insert(part->example(i)[0].at(0)).second);
    }
    EXPECT_EQ(seen.size(), 20u);
  }
  EXPECT_EQ(hold_back_last(whole, 6).validation->example(0)[0].at(0), 14);
  EXPECT_EQ(hold_back_last(whole, 6).validation->describe(0), "example 14");
  const auto members = [&](uint64_t seed) {
    std::vector<double> out;
    const DatasetPointer part = hold_back_random(whole, 6, seed).validation;
    for (int64_t i = 0; i < part->size(); ++i) out.push_back(part->example(i)[0].at(0));
    return out;
  };
  EXPECT_EQ(members(1), members(1));
  EXPECT_NE(members(1), members(2));
  const std::vector<double> chosen = members(1);
  EXPECT_TRUE(std::is_sorted(chosen.begin(), chosen.end()));
  EXPECT_THROW(hold_back_last(whole, 21), Error);
  EXPECT_EQ(field_index(*whole, "square"), 1u);
  EXPECT_NE(std::string(error_of([&] { field_index(*whole, "squre"); }).what()).find("'square'"), std::string::npos);
}

Literal ramp(DType dtype, const Shape& shape) {
  std::vector<double> values(static_cast<size_t>(shape.elements()));
  std::iota(values.begin(), values.end(), 1.0);
  return Literal::from_doubles(dtype, shape, values);
}

TEST(Transform, NormaliseFollowsItsFormula) {
  const Literal image = ramp(u8, {3, 2, 2});
  const std::vector<float> mean{0.1f, 0.2f, 0.3f}, deviation{0.5f, 1.0f, 2.0f};
  const Literal out = normalise(image, mean, deviation);
  for (int64_t i = 0; i < 12; ++i) {
    const auto c = static_cast<size_t>(i / 4);
    EXPECT_NEAR(out.at(i), (image.at(i) / 255 - mean[c]) / deviation[c], 1e-6);
  }
  const float zero = 0, one = 1;
  EXPECT_EQ(normalise(ramp(f32, {1, 2, 2}), {&zero, 1}, {&one, 1}).to_doubles(), (std::vector<double>{1, 2, 3, 4}));
  EXPECT_THROW(normalise(image, std::vector<float>{0, 0}, deviation), Error);
  EXPECT_THROW(normalise(ramp(u8, {2, 2}), mean, deviation), Error);
}

TEST(Transform, RandomCropIsAShiftWithZerosAndReachesEveryPlace) {
  for (const DType dtype : {u8, f32}) {
    const Literal image = ramp(dtype, {2, 3, 4});
    std::set<std::pair<int64_t, int64_t>> places;
    for (uint64_t i = 0; i < 400; ++i) {
      RandomStream random(1, Purpose::kTransform, 0, i);
      const Literal out = random_crop(image, 1, random);
      ASSERT_EQ(out.shape(), image.shape());
      // The first channel's middle pixel (1, 1) holds 6 in the original: it tells the shift.
      const double center = out.at(1 * 4 + 1);
      const int64_t dy = (static_cast<int64_t>(center) - 1) / 4 - 1, dx = (static_cast<int64_t>(center) - 1) % 4 - 1;
      places.emplace(dy, dx);
      for (int64_t c = 0; c < 2; ++c) {
        for (int64_t y = 0; y < 3; ++y) {
          for (int64_t x = 0; x < 4; ++x) {
            const int64_t from_y = y + dy, from_x = x + dx;
            const bool inside = from_y >= 0 && from_y < 3 && from_x >= 0 && from_x < 4;
            EXPECT_EQ(out.at((c * 3 + y) * 4 + x), inside ? image.at((c * 3 + from_y) * 4 + from_x) : 0);
          }
        }
      }
    }
    EXPECT_EQ(places.size(), 9u);
  }
}

TEST(Transform, FlipIsItsOwnInverseAndHappensHalfTheTime) {
  const Literal image = ramp(u8, {2, 3, 5});
  int flipped = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    RandomStream first(1, Purpose::kTransform, 0, i), same(1, Purpose::kTransform, 0, i);
    const Literal out = random_flip(image, first);
    if (!out.same_bytes(image)) {
      ++flipped;
      EXPECT_EQ(out.at(0), 5);
      EXPECT_EQ(out.at(5), 10);
    }
    EXPECT_TRUE(random_flip(out, same).same_bytes(image));
  }
  EXPECT_NEAR(flipped, 500, 100);
}

TEST(Transform, ResizeKeepsConstantsRampsAndMeans) {
  const Literal flat = Literal::filled(u8, {2, 7, 9}, 77);
  for (const auto& [height, width] : {std::pair{3, 4}, {20, 13}, {7, 2}}) {
    const Literal out = resize(flat, height, width);
    EXPECT_TRUE(out.same_bytes(Literal::filled(u8, {2, height, width}, 77)));
  }
  // Halving averages: the triangle filter over a linear ramp gives the ramp's value at the new pixel's centre.
  std::vector<double> row(16);
  std::iota(row.begin(), row.end(), 0.5);  // pixel k has its centre at k + 0.5
  const Literal half = resize(Literal::from_doubles(f32, {1, 1, 16}, row), 1, 8);
  for (int64_t i = 1; i < 7; ++i) EXPECT_NEAR(half.at(i), 2 * (static_cast<double>(i) + 0.5), 1e-5);
  const Literal doubled = resize(Literal::from_doubles(f32, {1, 1, 16}, row), 1, 32);
  for (int64_t i = 1; i < 31; ++i) EXPECT_NEAR(doubled.at(i), (static_cast<double>(i) + 0.5) / 2, 1e-5);
  EXPECT_EQ(center_crop(ramp(f32, {1, 4, 4}), 2, 2).to_doubles(), (std::vector<double>{6, 7, 10, 11}));
  EXPECT_THROW(center_crop(flat, 8, 9), Error);
  EXPECT_THROW(resize(flat, 0, 9), Error);
  EXPECT_THROW(resize(ramp(i32, {1, 2, 2}), 4, 4), Error);
}

}  // namespace
}  // namespace trireme::data
