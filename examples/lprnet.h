// LPRNet (Zherzdev, Gruzdev 2018) as its PyTorch checkpoint has it: pictures of licence plates to text.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "trireme/formats/weights.h"
#include "trireme/tensor/tensor.h"
#include "trireme/text/ctc.h"

namespace trireme::examples {

// What the classes stand for; the last one is CTC's blank, too.
inline const std::vector<std::string> kPlateSymbols = {
    "京", "沪", "津", "渝", "冀", "晋", "蒙", "辽", "吉", "黑", "苏", "浙", "皖", "闽", "赣", "鲁", "豫",
    "鄂", "湘", "粤", "桂", "琼", "川", "贵", "云", "藏", "陕", "甘", "青", "宁", "新", "0",  "1",  "2",
    "3",  "4",  "5",  "6",  "7",  "8",  "9",  "A",  "B",  "C",  "D",  "E",  "F",  "G",  "H",  "J",  "K",
    "L",  "M",  "N",  "P",  "Q",  "R",  "S",  "T",  "U",  "V",  "W",  "X",  "Y",  "Z",  "I",  "O",  "-"};

struct LprNet {
  std::map<std::string, Tensor> weights;

  explicit LprNet(const std::string& path) {
    for (const auto& [name, value] : formats::load_weights(path)) weights.emplace(name, value);
  }
  // Pictures u8 [N, 24, 94, 3], red green blue -> class scores [N, 18, 68].
  Tensor operator()(const Tensor& pictures) const {
    const Tensor blue_first = flip(convert(pictures, f32), {3});
    const Tensor x = transpose((blue_first - 127.5) * (1.0 / 128.0), {0, 3, 1, 2});
    const Tensor first = norm(conv(x, "backbone.0"), "backbone.1");
    const Tensor second = norm(block(pool(first, 1, 1), "backbone.4"), "backbone.5");
    const Tensor middle = norm(block(pool(second, 2, 2), "backbone.8"), "backbone.9");
    const Tensor third = norm(block(middle, "backbone.11"), "backbone.12");
    const Tensor wide = norm(conv(pool(third, 4, 2), "backbone.16"), "backbone.17");
    const Tensor last = norm(conv(wide, "backbone.20"), "backbone.21");
    const std::vector<Tensor> views = {scaled(avg_pool2d(first, {5})), scaled(avg_pool2d(second, {5})),
                                       scaled(avg_pool2d(third, {4, 10}, {4, 2})), scaled(last)};
    return transpose(mean(conv(concat(views, 1), "container.0"), {2}), {0, 2, 1});
  }
  // Pictures u8 [24, 94, 3] -> their text.
  std::vector<std::string> read(const std::vector<Literal>& pictures) const {
    const Tensor scores = (*this)(stack(std::vector<Tensor>(pictures.begin(), pictures.end())));
    std::vector<std::string> out;
    for (const auto& plate : ctc_greedy(scores.literal(), 67)) out.push_back(ctc_text(plate, kPlateSymbols));
    return out;
  }

 private:
  Tensor conv(const Tensor& x, const std::string& name, const Ints& padding = {0}) const {
    return conv2d(x, weights.at(name + ".weight"), weights.at(name + ".bias"), {1}, padding);
  }
  Tensor norm(const Tensor& x, const std::string& name) const {
    return relu(batch_norm_inference(x, weights.at(name + ".running_mean"), weights.at(name + ".running_var"),
                                     weights.at(name + ".weight"), weights.at(name + ".bias")));
  }
  Tensor block(const Tensor& x, const std::string& name) const {
    const Tensor h = relu(conv(relu(conv(x, name + ".block.0")), name + ".block.2", {1, 0}));
    return conv(relu(conv(h, name + ".block.4", {0, 1})), name + ".block.6");
  }
  // The largest of 3 x 3 on every `step`-th channel, moving by `across`.
  static Tensor pool(const Tensor& x, int64_t step, int64_t across) {
    return max_pool2d(slice(x, {0, 0, 0, 0}, x.shape().vector(), {1, step, 1, 1}), {3}, {1, across});
  }
  static Tensor scaled(const Tensor& x) { return x / mean(square(x), {1, 2, 3}, true); }
};

}  // namespace trireme::examples
