#include "cli/inputs.h"

#include <algorithm>
#include <cctype>

#include "trireme/audio/wav.h"
#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/data/csv.h"
#include "trireme/data/image.h"
#include "trireme/formats/npy.h"
#include "trireme/vision/prepare.h"

namespace trireme::cli {

namespace {

Literal reshaped(const Literal& value, const Shape& shape) {
  const auto owner = std::make_shared<const Literal>(value);
  return {value.dtype(), shape, owner, value.data()};
}

Literal picture(const GivenInput& input, const InputOptions& options, const WantedInput& wanted) {
  vision::PrepareOptions prepare;
  prepare.channels = vision::parse_channels(options.channels);
  prepare.layout = vision::parse_layout(options.layout);
  if (!options.resize.empty()) prepare.resize = vision::parse_size(options.resize, "--resize");
  if (!options.crop.empty()) prepare.crop = vision::parse_size(options.crop, "--crop");
  if (!options.mean.empty()) prepare.mean = vision::parse_numbers(options.mean, "--mean");
  if (!options.deviation.empty()) prepare.deviation = vision::parse_numbers(options.deviation, "--std");
  prepare.range = options.range != 0.0 ? options.range : is_float(wanted.dtype) ? 1.0 : 255.0;
  const Tensor x = vision::prepare(data::read_image(input.file), prepare);
  return (is_float(wanted.dtype) ? x : round_even(x)).literal();
}

Literal sound(const GivenInput& input) {
  const Literal samples = audio::read_wav(input.file).samples;
  return samples.shape()[0] == 1 ? reshaped(samples, samples.shape().without(0)) : samples;
}

Literal table(const GivenInput& input, const WantedInput& wanted) {
  const Literal matrix = data::read_matrix(input.file);
  const bool fixed = wanted.has_shape && wanted.sizes.size() <= static_cast<size_t>(kMaxRank) &&
                     std::none_of(wanted.sizes.begin(), wanted.sizes.end(), [](int64_t size) { return size < 0; });
  if (fixed && Shape(wanted.sizes).elements() == matrix.elements()) return reshaped(matrix, Shape(wanted.sizes));
  return matrix;
}

Literal fitted(const Literal& value, const WantedInput& wanted) {
  Shape shape = value.shape();
  while (wanted.has_shape && shape.rank() < static_cast<int>(std::min<size_t>(wanted.sizes.size(), kMaxRank))) {
    shape = shape.inserted(0, 1);
  }
  if (value.dtype() == wanted.dtype) return reshaped(value, shape);
  Literal out = Literal::zeros(wanted.dtype, shape);
  convert_elements(value.dtype(), value.data(), wanted.dtype, out.mutable_data(), value.elements());
  return out;
}

// A picture of another size than the model takes is the user's to mend, and the options say how.
void check_picture(const GivenInput& input, const Literal& value, const WantedInput& wanted) {
  if (!wanted.has_shape) return;
  bool fits = wanted.sizes.size() == static_cast<size_t>(value.shape().rank());
  for (size_t i = 0; fits && i < wanted.sizes.size(); ++i) {
    fits = wanted.sizes[i] < 0 || wanted.sizes[i] == value.shape()[static_cast<int>(i)];
  }
  if (fits) return;
  throw Error(Code::kInvalidArgument,
              cat("--input ", input.name, ": '", input.file, "' gives ", value.shape(), ", the model takes ",
                  wanted.sizes, " (-1: any); --resize, --crop, --layout and --channels change what the picture gives"));
}

}  // namespace

void InputOptions::add_to(CLI::App& command) {
  command.add_option("--input", inputs,
                     "name=file: .npy, .png, .jpg, .wav, .csv or (for ONNX) .pb; inputs not given are random");
  add_pictures_to(command);
}

void InputOptions::add_pictures_to(CLI::App& command) {
  command.add_option("--resize", resize, "pictures: HEIGHTxWIDTH, or one number for the shorter side");
  command.add_option("--crop", crop, "pictures: HEIGHTxWIDTH of the middle, or one number for a square");
  command.add_option("--range", range,
                     "pictures: what white becomes (default: 1, or 255 where the model takes integers)");
  command.add_option("--mean", mean,
                     "pictures: taken off after that, one number or one per channel: 0.485,0.456,0.406");
  command.add_option("--std", deviation, "pictures: divided by after that, likewise");
  command.add_option("--layout", layout, "pictures: nchw or nhwc")->capture_default_str();
  command.add_option("--channels", channels, "pictures: rgb, bgr or grey")->capture_default_str();
}

std::vector<GivenInput> InputOptions::given(const std::vector<std::string>& known) const {
  std::vector<GivenInput> out;
  for (const std::string& text : inputs) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos) {
      throw Error(Code::kInvalidArgument, cat("--input '", text, "' is not name=file"));
    }
    out.push_back({text.substr(0, equals), text.substr(equals + 1)});
    if (std::find(known.begin(), known.end(), out.back().name) != known.end()) continue;
    const std::string near = nearest_name(out.back().name, known);
    throw Error(Code::kNotFound, cat("the model has no input '", out.back().name, "'; ",
                                     near.empty() ? "it has: " + join(known, ", ") : "did you mean '" + near + "'?"));
  }
  return out;
}

Literal InputOptions::read(const GivenInput& input, const WantedInput& wanted) const {
  std::string file = input.file;
  std::transform(file.begin(), file.end(), file.begin(), [](unsigned char c) { return std::tolower(c); });
  if (file.ends_with(".npy")) return formats::read_npy(input.file);
  if (file.ends_with(".png") || file.ends_with(".jpg") || file.ends_with(".jpeg")) {
    const Literal value = fitted(picture(input, *this, wanted), wanted);
    check_picture(input, value, wanted);
    return value;
  }
  if (file.ends_with(".wav")) return fitted(sound(input), wanted);
  if (file.ends_with(".csv")) return fitted(table(input, wanted), wanted);
  throw Error(Code::kUnsupported,
              cat("--input ", input.name, ": '", input.file, "' is no .npy, .png, .jpg, .wav or .csv file"));
}

}  // namespace trireme::cli
