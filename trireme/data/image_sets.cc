#include "trireme/data/image_sets.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/data/idx.h"
#include "trireme/data/image.h"
#include "trireme/data/transform.h"

namespace trireme::data {

namespace {

std::vector<int32_t> read_labels(const std::string& path) {
  std::vector<int32_t> out;
  const std::string text = read_file(path);
  std::string_view rest = text;
  for (int64_t line = 1; !rest.empty(); ++line) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view word = trim(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (word.empty() && trim(rest).empty()) break;  // blank lines at the end
    int32_t label = 0;
    const auto [stop, reason] = std::from_chars(word.data(), word.data() + word.size(), label);
    if (reason != std::errc() || stop != word.data() + word.size() || label < 0) {
      throw Error(Code::kDataLoss, cat("labels file '", path, "', line ", line, ": '", word.substr(0, 40),
                                       "' is not a whole number >= 0"));
    }
    out.push_back(label);
  }
  return out;
}

void check_labels(std::span<const int32_t> labels, const std::vector<std::string>& classes, const std::string& path) {
  if (classes.empty()) return;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0 || labels[i] >= static_cast<int32_t>(classes.size())) {
      throw Error(Code::kDataLoss, cat("labels file '", path, "': label ", i, " is ", labels[i], ", but there are ",
                                       classes.size(), " classes (0 to ", classes.size() - 1, ")"));
    }
  }
}

class ImageFolder final : public Dataset {
 public:
  ImageFolder(const std::string& root, const ImageFolderOptions& options) : options_(options) {
    namespace fs = std::filesystem;
    std::error_code reason;
    for (const auto& entry : fs::directory_iterator(root, reason)) {
      if (entry.is_directory()) classes_.push_back(entry.path().filename().string());
    }
    if (reason) throw Error(Code::kNotFound, cat("cannot list the image folder '", root, "': ", reason.message()));
    std::sort(classes_.begin(), classes_.end());
    for (size_t label = 0; label < classes_.size(); ++label) {
      const size_t first = files_.size();
      for (const auto& entry : fs::directory_iterator(fs::path(root) / classes_[label])) {
        std::string ending = entry.path().extension().string();
        for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        if (ending == ".png" || ending == ".jpg" || ending == ".jpeg") {
          files_.push_back({entry.path().string(), static_cast<int32_t>(label)});
        }
      }
      std::sort(files_.begin() + static_cast<ptrdiff_t>(first), files_.end(),
                [](const File& a, const File& b) { return a.path < b.path; });
    }
    if (files_.empty()) {
      throw Error(Code::kNotFound, cat("image folder '", root, "' holds no pictures: expected ", root,
                                       "/<class>/<picture>.png, .jpg or .jpeg"));
    }
    if ((options_.height > 0) != (options_.width > 0) || options_.height < 0 || options_.width < 0) {
      throw Error(Code::kInvalidArgument, cat("image folder: give both height and width or neither; given ",
                                              options_.height, " x ", options_.width));
    }
    fields_ = {{"image", u8, Shape{}}, {"label", i32, Shape{}}};
    fields_[0].shape = load(0).shape();
  }

  int64_t size() const override { return static_cast<int64_t>(files_.size()); }
  const std::vector<Field>& fields() const override { return fields_; }
  const std::vector<std::string>& classes() const override { return classes_; }
  std::string describe(int64_t index) const override {
    return cat("example ", index, " (", files_[static_cast<size_t>(index)].path, ")");
  }
  Example example(int64_t index) const override {
    TRIREME_CHECK(index >= 0 && index < size(), cat("example ", index, " of ", size()));
    Literal image = load(index);
    if (!(image.shape() == fields_[0].shape)) {
      throw Error(Code::kInvalidArgument, cat("the image is ", image.shape(), ", the first one ", fields_[0].shape,
                                              "; give height and width to bring all to one size"));
    }
    return {std::move(image), Literal::scalar(files_[static_cast<size_t>(index)].label)};
  }

 private:
  struct File {
    std::string path;
    int32_t label;
  };

  Literal load(int64_t index) const {
    Literal image = channels_first(read_image(files_[static_cast<size_t>(index)].path, options_.channels));
    if (options_.height == 0) return image;
    const double height = static_cast<double>(image.shape()[1]), width = static_cast<double>(image.shape()[2]);
    const double scale =
        std::max(static_cast<double>(options_.height) / height, static_cast<double>(options_.width) / width);
    const int64_t tall = std::max(options_.height, static_cast<int64_t>(std::lround(height * scale)));
    const int64_t wide = std::max(options_.width, static_cast<int64_t>(std::lround(width * scale)));
    return center_crop(resize(image, tall, wide), options_.height, options_.width);
  }

  ImageFolderOptions options_;
  std::vector<Field> fields_;
  std::vector<std::string> classes_;
  std::vector<File> files_;
};

}  // namespace

DatasetPointer png_batches(const std::vector<std::string>& pictures, const std::string& labels,
                           const PngBatchOptions& options) {
  if (pictures.empty()) throw Error(Code::kInvalidArgument, "png_batches: no pictures given");
  std::vector<Literal> parts;
  int64_t count = 0, channels = 0, area = 0;
  for (const std::string& path : pictures) {
    parts.push_back(read_image(path));
    const Shape& shape = parts.back().shape();  // [images, height*width, channels]
    if (parts.size() == 1) {
      area = shape[1];
      channels = shape[2];
    } else if (shape[1] != area || shape[2] != channels) {
      throw Error(Code::kDataLoss, cat("picture '", path, "' is ", shape[1], " wide with ", shape[2],
                                       " channels, but '", pictures[0], "' is ", area, " wide with ", channels));
    }
    count += shape[0];
  }
  int64_t height = options.height, width = options.width;
  if (height == 0 && width == 0) height = width = std::llround(std::sqrt(static_cast<double>(area)));
  if (height * width != area) {
    throw Error(Code::kInvalidArgument, cat("picture '", pictures[0], "' is ", area, " wide, which is not ", height,
                                            " x ", width, " pixels; give the images' height and width"));
  }
  std::vector<int32_t> numbers = read_labels(labels);
  const auto have = static_cast<int64_t>(numbers.size());
  if (have < count || (have > count && !options.allow_more_labels)) {
    throw Error(Code::kDataLoss, cat(pictures.size(), " pictures from '", pictures[0], "' on hold ", count,
                                     " images, but '", labels, "' has ", have, " labels"));
  }
  numbers.resize(static_cast<size_t>(count));
  check_labels(numbers, options.classes, labels);

  Literal images = Literal::zeros(u8, {count, channels, height, width});
  auto* to = static_cast<uint8_t*>(images.mutable_data());
  const auto pixels = static_cast<size_t>(area), deep = static_cast<size_t>(channels);
  for (const Literal& part : parts) {
    const std::span<const uint8_t> from = part.values<uint8_t>();
    for (size_t at = 0; at < from.size(); at += pixels * deep) {
      for (size_t channel = 0; channel < deep; ++channel) {
        for (size_t i = 0; i < pixels; ++i) *to++ = from[at + i * deep + channel];
      }
    }
  }
  return tensor_dataset({{"image", std::move(images)}, {"label", Literal::from<int32_t>(numbers, {count})}},
                        options.classes);
}

DatasetPointer idx_images(const std::string& images, const std::string& labels, std::vector<std::string> classes) {
  const Literal pixels = read_idx(images), numbers = read_idx(labels);
  if (pixels.dtype() != u8 || pixels.shape().rank() != 3) {
    throw Error(Code::kDataLoss, cat("idx file '", images, "' holds ", pixels.dtype(), pixels.shape(),
                                     "; images are u8 [count, height, width]"));
  }
  if (numbers.dtype() != u8 || numbers.shape().rank() != 1) {
    throw Error(Code::kDataLoss,
                cat("idx file '", labels, "' holds ", numbers.dtype(), numbers.shape(), "; labels are u8 [count]"));
  }
  const int64_t count = pixels.shape()[0];
  if (numbers.shape()[0] != count) {
    throw Error(Code::kDataLoss, cat("'", images, "' holds ", count, " images, but '", labels, "' holds ",
                                     numbers.shape()[0], " labels"));
  }
  Literal wide = Literal::zeros(i32, {count});
  convert_elements(u8, numbers.data(), i32, wide.mutable_data(), count);
  check_labels(wide.values<int32_t>(), classes, labels);
  const auto owner = std::make_shared<const Literal>(pixels);
  return tensor_dataset({{"image", Literal(u8, pixels.shape().inserted(1, 1), owner, owner->data())}, {"label", wide}},
                        std::move(classes));
}

DatasetPointer image_folder(const std::string& root, const ImageFolderOptions& options) {
  return std::make_shared<ImageFolder>(root, options);
}

}  // namespace trireme::data
