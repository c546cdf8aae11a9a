#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "persona.h"
#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/core/philox.h"
#include "trireme/data/find.h"
#include "trireme/data/image.h"
#include "trireme/data/transform.h"
#include "trireme/formats/onnx/model.h"
#include "trireme/formats/session.h"
#include "trireme/vision/detection.h"
#include "trireme/vision/draw.h"
#include "trireme/vision/labels.h"
#include "trireme/vision/prepare.h"
#include "trireme/vision/text_boxes.h"

namespace trireme::vision {
namespace {

// Numbers in 0 .. 1.
double random_number(uint32_t stream, uint64_t index) { return philox_word({3, 1, stream, 0}, index) * 0x1p-32; }

Literal random_picture(int64_t height, int64_t width, int64_t channels) {
  Literal out = Literal::zeros(u8, {height, width, channels});
  auto* to = static_cast<uint8_t*>(out.mutable_data());
  for (int64_t i = 0; i < out.elements(); ++i)
    to[i] = static_cast<uint8_t>(255 * random_number(1, static_cast<uint64_t>(i)));
  return out;
}

template <class F>
void expect_refused(F&& f, const std::vector<std::string>& parts) {
  try {
    f();
    ADD_FAILURE() << "accepted; expected '" << parts[0] << "'";
  } catch (const Error& error) {
    for (const std::string& part : parts) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << "no '" << part << "' in: " << error.what();
    }
  }
}

// --- prepare ------------------------------------------------------------------------------------------------------

// By hand, pixel by pixel, with the host's resize.
Literal prepared_by_hand(const Literal& pixels, int64_t height, int64_t width, const std::vector<float>& mean,
                         const std::vector<float>& deviation) {
  Literal planes = data::channels_first(pixels);
  Literal floating = Literal::zeros(f32, planes.shape());
  convert_elements(u8, planes.data(), f32, floating.mutable_data(), planes.elements());
  Literal out = data::resize(floating, height, width);
  Literal result = Literal::zeros(f32, {1, 3, height, width});
  auto* to = static_cast<float*>(result.mutable_data());
  for (int64_t i = 0; i < out.elements(); ++i) {
    const auto channel = static_cast<size_t>(i / (height * width));
    to[i] = (static_cast<float>(out.at(i)) / 255.0f - mean[channel]) / deviation[channel];
  }
  return result;
}

TEST(Prepare, EqualsTheHostOnEveryChip) {
  const Literal pixels = random_picture(37, 53, 3);
  const PrepareOptions options = {
      .resize = {16, 24}, .mean = {0.485, 0.456, 0.406}, .deviation = {0.229, 0.224, 0.225}};
  const Literal truth = prepared_by_hand(pixels, 16, 24, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f});
  set_fallback(Fallback::kAllow);
  for (const std::string& device : {std::string("cpu"), testing::persona_device("minimal-13").name(),
                                    testing::persona_device("no-strided-copy").name()}) {
    set_device(device);
    const Literal got = prepare(pixels, options).literal();
    ASSERT_EQ(got.shape(), truth.shape());
    for (int64_t i = 0; i < got.elements(); ++i) ASSERT_NEAR(got.at(i), truth.at(i), 2e-5) << device << " " << i;
  }
  set_device("cpu");
}

TEST(Prepare, ChannelsLayoutsCropAndRange) {
  const Literal pixels = random_picture(6, 8, 3);
  const auto pixel = [&](int64_t y, int64_t x, int64_t c) { return pixels.at((y * 8 + x) * 3 + c); };
  const Literal bgr = prepare(pixels, {.channels = PrepareOptions::Channels::kBgr, .range = 255}).literal();
  EXPECT_NEAR(bgr.at((0 * 6 + 2) * 8 + 5), pixel(2, 5, 2), 1e-4);
  const Literal nhwc = prepare(pixels, {.crop = {4, 2}, .layout = PrepareOptions::Layout::kNhwc}).literal();
  EXPECT_EQ(nhwc.shape(), (Shape{1, 4, 2, 3}));
  EXPECT_NEAR(nhwc.at((1 * 2 + 1) * 3 + 2), pixel(1 + 1, 3 + 1, 2) / 255, 1e-6);
  const Literal grey = prepare(pixels, {.channels = PrepareOptions::Channels::kGrey, .range = 255}).literal();
  EXPECT_EQ(grey.shape(), (Shape{1, 1, 6, 8}));
  EXPECT_NEAR(grey.at(9), 0.299 * pixel(1, 1, 0) + 0.587 * pixel(1, 1, 1) + 0.114 * pixel(1, 1, 2), 1e-3);
  EXPECT_EQ(prepare(random_picture(6, 8, 1)).shape(), (Shape{1, 3, 6, 8}));
  EXPECT_EQ(prepare(pixels, {.resize = {3}}).shape(), (Shape{1, 3, 3, 4})) << "the shorter side";
}

TEST(Prepare, Refusals) {
  const Literal pixels = random_picture(6, 8, 3);
  expect_refused([&] { prepare(pixels, {.crop = {7}}); }, {"cannot crop 7 x 7 out of 6 x 8"});
  expect_refused([&] { prepare(pixels, {.resize = {0, 4}}); }, {"resize", "1 to 32768"});
  expect_refused([&] { prepare(pixels, {.resize = {1 << 20}}); }, {"resize"});
  expect_refused([&] { prepare(pixels, {.mean = {1, 2}}); }, {"mean has 2 numbers for 3 channels"});
  expect_refused([&] { prepare(pixels, {.deviation = {0}}); }, {"deviation is 0"});
  expect_refused([&] { prepare(pixels, {.range = -1}); }, {"range is -1"});
  expect_refused([&] { prepare(Literal::zeros(u8, {0, 3, 3})); }, {"not empty"});
  expect_refused([&] { parse_size("224y224", "--resize"); }, {"--resize '224y224'", "224x320"});
  expect_refused([&] { parse_size("1x2x3", "--crop"); }, {"--crop takes one or two"});
  expect_refused([&] { parse_numbers("0.5,,1", "--mean"); }, {"--mean '0.5,,1'"});
  expect_refused([&] { parse_layout("hwc"); }, {"nchw nor nhwc"});
  expect_refused([&] { parse_channels("rgba"); }, {"rgb, bgr or grey"});
  EXPECT_EQ(parse_size("224x320", "x"), (std::vector<int64_t>{224, 320}));
  EXPECT_EQ(parse_numbers("0.5, -1e2", "x"), (std::vector<double>{0.5, -100}));
}

// --- labels -------------------------------------------------------------------------------------------------------

TEST(Labels, ReadsLinesAndJson) {
  const TemporaryFolder folder;
  const auto read = [&](const std::string& name, const std::string& content) {
    write_file_atomically(folder / name, content);
    return read_labels(folder / name);
  };
  EXPECT_EQ(read("a.txt", "cat\r\ndog, hound\n\n"), (std::vector<std::string>{"cat", "dog, hound"}));
  EXPECT_EQ(read("a.json", R"(["cat", "dog"])"), (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(read("a.json", R"({"2": "dog", "0": "cat"})"), (std::vector<std::string>{"cat", "", "dog"}));
  expect_refused([&] { read("a.json", "{"); }, {"a.json", "no JSON list"});
  expect_refused([&] { read("a.json", R"({"99999999999": "x"})"); }, {"no number of a class"});
  expect_refused([&] { read("a.json", R"({"-1": "x"})"); }, {"no number of a class"});
  expect_refused([&] { read("a.json", "[1]"); }, {"a name is no text"});
  expect_refused([&] { read("a.txt", ""); }, {"names no class"});
}

TEST(Labels, BestClasses) {
  const auto best =
      best_classes(Literal::from_doubles(f32, {2, 3, 1, 1}, std::vector<double>{0, std::log(3), 0, 5, 5, -90}), 2);
  ASSERT_EQ(best.size(), 2u);
  EXPECT_EQ(best[0][0].index, 1);
  EXPECT_NEAR(best[0][0].probability, 0.6, 1e-6) << "logits go through a softmax: 3 / (1 + 3 + 1)";
  EXPECT_EQ(best[0][1].index, 0) << "of equal ones the lower class";
  EXPECT_NEAR(best[1][1].probability, 0.5, 1e-6);
  const auto given = best_classes(Literal::from_doubles(f32, {3}, std::vector<double>{0.25, 0.5, 0.25}), 10);
  EXPECT_EQ(given[0].size(), 3u);
  EXPECT_EQ(given[0][0].probability, 0.5) << "probabilities stay";
  EXPECT_FALSE(is_classification(Literal::zeros(f32, {2, 3, 4})));
  EXPECT_FALSE(is_classification(Literal::zeros(f32, {1, 1})));
  EXPECT_FALSE(is_classification(Literal::zeros(i32, {5})));
  EXPECT_THROW(best_classes(Literal::zeros(f32, {0, 3}), 1), Error);
}

// --- boxes --------------------------------------------------------------------------------------------------------

TEST(Boxes, Overlap) {
  EXPECT_DOUBLE_EQ(overlap({0, 0, 2, 2}, {1, 1, 3, 3}), 1.0 / 7.0);
  EXPECT_DOUBLE_EQ(overlap({0, 0, 2, 2}, {0, 0, 2, 2}), 1.0);
  EXPECT_DOUBLE_EQ(overlap({0, 0, 1, 1}, {1, 0, 2, 1}), 0.0);
  EXPECT_DOUBLE_EQ(overlap({0, 0, 0, 0}, {0, 0, 0, 0}), 0.0);
}

// What is kept is the one subset for which: no kept box hides a kept one, and each box that went is hidden by a better
// one that was kept.
TEST(Boxes, SuppressionIsTheUniqueStableSet) {
  for (uint32_t stream = 0; stream < 30; ++stream) {
    std::vector<Box> boxes;
    std::vector<double> scores;
    for (uint64_t i = 0; i < 40; ++i) {
      const double x = 10 * random_number(stream, 5 * i), y = 10 * random_number(stream, 5 * i + 1);
      boxes.push_back(
          {x, y, x + 1 + 4 * random_number(stream, 5 * i + 2), y + 1 + 4 * random_number(stream, 5 * i + 3)});
      scores.push_back(random_number(stream, 5 * i + 4));
    }
    const auto kept = suppress(boxes, scores, {.most_overlap = 0.3, .least_score = 0.1});
    const std::set<int64_t> set(kept.begin(), kept.end());
    EXPECT_TRUE(std::is_sorted(kept.begin(), kept.end(), [&](int64_t a, int64_t b) {
      return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
    }));
    for (size_t i = 0; i < boxes.size(); ++i) {
      bool hidden = scores[i] <= 0.1;
      for (const int64_t j : kept) {
        const auto k = static_cast<size_t>(j);
        hidden |= scores[k] > scores[i] && overlap(boxes[i], boxes[k]) > 0.3;
      }
      EXPECT_EQ(set.contains(static_cast<int64_t>(i)), !hidden) << stream << " " << i;
    }
    EXPECT_EQ(suppress(boxes, scores, {.most_overlap = 0.3, .least_score = 0.1, .most = 3}),
              std::vector<int64_t>(kept.begin(), kept.begin() + 3));
  }
  EXPECT_THROW(suppress(std::vector<Box>(2), std::vector<double>(3)), Error);
}

TEST(Detection, DistributionsGiveTheirMean) {
  // Two cells in a row; sides of the second: certain distances 1, 2, 3, 0, but the last one half 0 half 2.
  std::vector<double> logits(2 * 4 * 4, 0.0);
  const auto set = [&](size_t side, size_t bin) { logits[16 + side * 4 + bin] = 50; };
  set(0, 1), set(1, 2), set(2, 3), set(3, 0), set(3, 2);
  const auto boxes = boxes_of_distributions(Literal::from_doubles(f64, {2, 16}, logits), 2, 8.0);
  ASSERT_EQ(boxes.size(), 2u);
  EXPECT_NEAR(boxes[0].left, 4 - 1.5 * 8, 1e-9) << "even weights: the mean of 0 .. 3";
  EXPECT_NEAR(boxes[1].left, 12 - 8, 1e-9);
  EXPECT_NEAR(boxes[1].top, 4 - 16, 1e-9);
  EXPECT_NEAR(boxes[1].right, 12 + 24, 1e-9);
  EXPECT_NEAR(boxes[1].bottom, 4 + 8, 1e-9);
  EXPECT_THROW(boxes_of_distributions(Literal::zeros(f32, {3, 16}), 2, 8.0), Error);
  EXPECT_THROW(boxes_of_distributions(Literal::zeros(f32, {2, 15}), 2, 8.0), Error);
}

TEST(Detection, PriorsInvertTheEncoding) {
  const std::vector<double> priors = {10, 20, 4, 8, 50, 60, 30, 20};
  const std::vector<Box> truth = {{9, 15, 14, 26}, {30, 55, 70, 61}};
  std::vector<double> offsets;
  for (size_t i = 0; i < 2; ++i) {  // as SSD encodes its targets
    const double *p = &priors[4 * i], x = (truth[i].left + truth[i].right) / 2,
                 y = (truth[i].top + truth[i].bottom) / 2;
    offsets.push_back((x - p[0]) / p[2] / 0.1);
    offsets.push_back((y - p[1]) / p[3] / 0.1);
    offsets.push_back(std::log((truth[i].right - truth[i].left) / p[2]) / 0.2);
    offsets.push_back(std::log((truth[i].bottom - truth[i].top) / p[3]) / 0.2);
  }
  const auto boxes =
      boxes_of_priors(Literal::from_doubles(f64, {2, 4}, offsets), Literal::from_doubles(f64, {2, 4}, priors));
  for (size_t i = 0; i < 2; ++i) EXPECT_NEAR(overlap(boxes[i], truth[i]), 1.0, 1e-9);
  EXPECT_THROW(boxes_of_priors(Literal::zeros(f32, {2, 4}), Literal::zeros(f32, {3, 4})), Error);
}

TEST(Detection, ClassesDoNotHideEachOther) {
  const std::vector<Box> boxes = {{0, 0, 10, 10}, {0, 0, 10, 11}, {50, 50, 60, 60}};
  const auto found =
      detect(boxes, Literal::from_doubles(f32, {3, 3}, std::vector<double>{0.9, 0.5, 0.9, 0.8, 0.6, 0, 0.1, 0.2, 0}),
             {.least_score = 0.3, .background = 2});
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].kind, 0);
  EXPECT_EQ(found[1].kind, 1);
  EXPECT_NEAR(found[1].score, 0.6, 1e-6);
  EXPECT_DOUBLE_EQ(found[1].box.bottom, 11);
}

// The picture that the model's authors published beside it names what ONNX Runtime found, with scores and boxes.
TEST(Detection, PicoDetSeesWhatItsAuthorsSaw) {
  const std::string folder = data::look_for_data("onnx-models/picodet_s_320");
  if (folder.empty()) GTEST_SKIP() << "no onnx-models/picodet_s_320 in the data folders; set TRIREME_DATA";
  set_device("cpu");
  const Literal pixels = data::read_image(folder + "/input.jpg");
  const Literal x =
      prepare(pixels, {.resize = {320, 320}, .mean = {0.485, 0.456, 0.406}, .deviation = {0.229, 0.224, 0.225}})
          .literal();
  formats::Session session(formats::onnx::Model::load(folder + "/picodet_s_320_coco.onnx"));
  const auto heads = session.run({{session.model().inputs()[0].name, formats::HostValue(x)}});
  ASSERT_EQ(heads.size(), 8u);  // scores of four grids, then their distributions
  std::vector<Box> boxes;
  std::vector<double> scores;
  const auto rows = [](const Literal& v) {
    return Literal::from_doubles(f32, {v.shape()[1], v.shape()[2]}, v.to_doubles());
  };
  for (size_t level = 0; level < 4; ++level) {
    const int64_t stride = int64_t{8} << level;
    const auto more = boxes_of_distributions(rows(heads[4 + level].tensor), 320 / stride, static_cast<double>(stride));
    boxes.insert(boxes.end(), more.begin(), more.end());
    const auto numbers = heads[level].tensor.to_doubles();
    scores.insert(scores.end(), numbers.begin(), numbers.end());
  }
  const double across = static_cast<double>(pixels.shape()[1]) / 320,
               down = static_cast<double>(pixels.shape()[0]) / 320;
  for (Box& box : boxes) box = {box.left * across, box.top * down, box.right * across, box.bottom * down};
  const auto found =
      detect(boxes, Literal::from_doubles(f32, {static_cast<int64_t>(boxes.size()), 80}, scores), {.least_score = 0.5});
  ASSERT_EQ(found.size(), 2u);
  for (const Detection& each : found) {
    ASSERT_TRUE(each.kind == 0 || each.kind == 32) << "person and sports ball; got " << each.kind;
    EXPECT_NEAR(each.score, 0.949, 0.02);
    const Box truth = each.kind == 0 ? Box{105, 22, 257, 389} : Box{43, 356, 87, 401};
    EXPECT_GT(overlap(each.box, truth), 0.9) << each.kind;
  }
}

// --- text boxes ---------------------------------------------------------------------------------------------------

double area(const Corners& c) {
  return std::hypot(c[1].x - c[0].x, c[1].y - c[0].y) * std::hypot(c[2].x - c[1].x, c[2].y - c[1].y);
}

TEST(TextBoxes, SmallestRectangleOfTurnedRectangles) {
  for (int degrees = 0; degrees < 180; degrees += 7) {
    const double angle = degrees * M_PI / 180, c = std::cos(angle), s = std::sin(angle);
    std::vector<Point> points;
    for (uint64_t i = 0; i < 200; ++i) {
      const double u = 30 * (random_number(9, 2 * i) - 0.5), v = 12 * (random_number(9, 2 * i + 1) - 0.5);
      points.push_back({50 + u * c - v * s, 40 + u * s + v * c});
    }
    for (const auto& [u, v] : {std::pair(-15, -6), std::pair(15, -6), std::pair(15, 6), std::pair(-15, 6)})
      points.push_back({50 + u * c - v * s, 40 + u * s + v * c});
    EXPECT_NEAR(area(smallest_rectangle(points)), 30 * 12, 1e-6) << degrees;
  }
  const std::vector<Point> line = {{1, 1}, {3, 3}, {2, 2}};
  EXPECT_NEAR(area(smallest_rectangle(line)), 0, 1e-9);
  const Corners point = smallest_rectangle(std::vector<Point>{{4, 5}});
  EXPECT_EQ(point[2].x, 4);
  EXPECT_THROW(smallest_rectangle({}), Error);
}

TEST(TextBoxes, FindsPaintedRectangles) {
  // A turned bar, a faint patch, a speck and an upright bar, on 120 x 160.
  Literal map = Literal::zeros(f32, {120, 160});
  auto* to = static_cast<float*>(map.mutable_data());
  const double angle = 0.3, c = std::cos(angle), s = std::sin(angle);
  for (int y = 0; y < 120; ++y) {
    for (int x = 0; x < 160; ++x) {
      const double u = (x - 60) * c + (y - 40) * s, v = -(x - 60) * s + (y - 40) * c;
      float& value = to[y * 160 + x];
      if (std::fabs(u) <= 30 && std::fabs(v) <= 8) value = 0.9f;
      if (x >= 100 && x < 130 && y >= 80 && y < 90) value = 0.4f;  // above the threshold, below the score
      if (x >= 10 && x <= 50 && y >= 90 && y <= 100) value = 1.0f;
    }
  }
  to[5 * 160 + 150] = 1.0f;
  const auto found = find_text_boxes(map, {.unclip = 0.0});
  ASSERT_EQ(found.size(), 2u);
  const Corners truth = {{{60 - 30 * c + 8 * s, 40 - 30 * s - 8 * c},
                          {60 + 30 * c + 8 * s, 40 + 30 * s - 8 * c},
                          {60 + 30 * c - 8 * s, 40 + 30 * s + 8 * c},
                          {60 - 30 * c - 8 * s, 40 - 30 * s + 8 * c}}};
  for (size_t k = 0; k < 4; ++k) {
    EXPECT_NEAR(found[0].corners[k].x, truth[k].x, 1.5) << k;
    EXPECT_NEAR(found[0].corners[k].y, truth[k].y, 1.5) << k;
  }
  EXPECT_NEAR(found[0].score, 0.9, 0.03);
  EXPECT_NEAR(area(found[1].corners), 40 * 10, 1e-6);
  EXPECT_NEAR(found[1].score, 1.0, 1e-6);
  // Grown by area * 1.5 / perimeter = 6 on every side.
  const auto grown = find_text_boxes(map, {.unclip = 1.5});
  EXPECT_NEAR(grown[1].corners[0].x, 10 - 6, 1e-6);
  EXPECT_NEAR(grown[1].corners[2].y, 100 + 6, 1e-6);
  EXPECT_TRUE(find_text_boxes(Literal::zeros(f32, {0, 5})).empty());
  EXPECT_THROW(find_text_boxes(Literal::zeros(f32, {5})), Error);
}

Box around(const Corners& c, double across, double down) {
  Box box = {1e9, 1e9, -1e9, -1e9};
  for (const Point& p : c) {
    box = {std::min(box.left, p.x * across), std::min(box.top, p.y * down), std::max(box.right, p.x * across),
           std::max(box.bottom, p.y * down)};
  }
  return box;
}

std::vector<Box> text_of(formats::Session& session, const std::string& path, int64_t height, int64_t width) {
  const Literal pixels = data::read_image(path, 3);
  const Literal x = prepare(pixels, {.channels = PrepareOptions::Channels::kBgr,
                                     .resize = {height, width},
                                     .mean = {0.485, 0.456, 0.406},
                                     .deviation = {0.229, 0.224, 0.225}})
                        .literal();
  const Literal map = session.run({{session.model().inputs()[0].name, formats::HostValue(x)}})[0].tensor;
  const double across = static_cast<double>(pixels.shape()[1]) / static_cast<double>(width);
  const double down = static_cast<double>(pixels.shape()[0]) / static_cast<double>(height);
  std::vector<Box> out;
  for (const TextBox& each : find_text_boxes(Literal::from_doubles(f32, {height, width}, map.to_doubles()))) {
    out.push_back(around(each.corners, across, down));
  }
  return out;
}

TEST(TextBoxes, FindsTextOfRealPictures) {
  const std::string model = data::look_for_data("onnx-models/ppocr_v3_det/model.onnx");
  const std::string scenes = data::look_for_data("ocr/mmocr_det");
  if (model.empty() || scenes.empty())
    GTEST_SKIP() << "no onnx-models/ppocr_v3_det or ocr/mmocr_det in the data folders";
  set_device("cpu");
  formats::Session session(formats::onnx::Model::load(model));
  EXPECT_EQ(text_of(session, data::find_data("ocr/zh_lines/width.png"), 320, 640).size(), 3u) << "three lines of text";

  // Words that people marked as readable, on scenes taken in passing.
  const auto table = nlohmann::json::parse(read_file(scenes + "/textdet_test.json"));
  int words = 0, found = 0;
  for (size_t i = 0; i < 10; ++i) {
    const auto& scene = table["data_list"][i];
    const auto boxes = text_of(session, scenes + "/" + scene["img_path"].get<std::string>(), 736, 1280);
    for (const auto& word : scene["instances"]) {
      if (word["ignore"].get<bool>()) continue;
      const auto v = word["bbox"].get<std::vector<double>>();
      ++words;
      found += std::any_of(boxes.begin(), boxes.end(), [&](const Box& b) {
        return overlap(b, {v[0], v[1], v[2], v[3]}) > 0.4;
      });
    }
  }
  EXPECT_EQ(words, 21);
  EXPECT_GE(found, 15);
}

TEST(Draw, AClosedLineOfTheRightWidthInsideThePicture) {
  const Literal black = Literal::zeros(u8, {20, 30, 3});
  const Point square[] = {{5, 5}, {25, 5}, {25, 100}, {5, 100}};  // leaves the picture below
  const Literal drawn = with_outline(black, square, {.colour = {1, 2, 3}, .width = 3});
  const auto is_line = [&](int64_t y, int64_t x) {
    const int64_t at = (y * 30 + x) * 3;
    EXPECT_EQ(drawn.at(at) * 2, drawn.at(at + 1));
    return drawn.at(at) == 1;
  };
  for (int64_t x = 5; x <= 25; ++x) {
    for (int64_t y : {4, 5, 6}) EXPECT_TRUE(is_line(y, x)) << x << " " << y;
  }
  for (int64_t y = 8; y < 20; ++y) {
    for (int64_t x = 0; x < 30; ++x) EXPECT_EQ(is_line(y, x), std::abs(x - 5) <= 1 || std::abs(x - 25) <= 1);
  }
  for (int64_t x = 0; x < 30; ++x) EXPECT_FALSE(is_line(0, x));
  const Point nowhere[] = {{-1e9, 1e9}, {NAN, 3}};
  EXPECT_TRUE(with_outline(black, {nowhere, 1}).same_bytes(black));
  EXPECT_THROW(with_outline(Literal::zeros(u8, {20, 30, 1}), square), Error);
}

}  // namespace
}  // namespace trireme::vision
