// Finds text in a picture with PP-OCRv3's detector, from its Paddle or its ONNX file, and draws what it found:
//   build/examples/find_text --model DATA/paddle-models/ppocr_v3_det --picture street.jpg --drawn found.png
#include "examples/example.h"
#include "trireme/base/file.h"
#include "trireme/data/image.h"
#include "trireme/formats/open_model.h"
#include "trireme/formats/session.h"
#include "trireme/vision/draw.h"
#include "trireme/vision/prepare.h"

using namespace trireme;

int main(int argc, char** argv) {
  Example example("find_text", "Finds text in a picture and draws rectangles around it");
  std::string path, picture, drawn = "found.png";
  int64_t side = 736;
  example.option("--model", path, "the detector: a Paddle or ONNX model");
  example.option("--picture", picture, "PNG or JPEG");
  example.option("--drawn", drawn, "PNG to write");
  example.option("--side", side, "pixels of the shorter side as the detector sees it; a multiple of 32");
  return example.run(argc, argv, [&] {
    const auto model = formats::open_model(path);
    if (!model) throw Error(Code::kInvalidArgument, "'" + path + "' is no Paddle or ONNX model; give one by --model");
    formats::Session session(model);
    Literal pixels = data::read_image(picture, 3);
    // Both sides become multiples of 32: the detector halves them five times.
    const double scale =
        static_cast<double>(side) / static_cast<double>(std::min(pixels.shape()[0], pixels.shape()[1]));
    const auto size = [&](int axis) {
      return std::max<int64_t>(32, std::llround(static_cast<double>(pixels.shape()[axis]) * scale / 32) * 32);
    };
    const int64_t height = size(0), width = size(1);
    const Tensor image = vision::prepare(pixels, {.channels = vision::PrepareOptions::Channels::kBgr,
                                                  .resize = {height, width},
                                                  .mean = {0.485, 0.456, 0.406},
                                                  .deviation = {0.229, 0.224, 0.225}});
    const auto outputs = session.run({{model->inputs()[0].name, formats::HostValue(image.literal())}});
    const Tensor map = reshape(Tensor(outputs[0].tensor), {height, width});
    const auto boxes = vision::find_text_boxes(map.literal());
    for (vision::TextBox box : boxes) {
      for (vision::Point& p : box.corners) {
        p.x *= static_cast<double>(pixels.shape()[1]) / static_cast<double>(width);
        p.y *= static_cast<double>(pixels.shape()[0]) / static_cast<double>(height);
      }
      pixels = vision::with_outline(pixels, box.corners);
      std::printf("text at (%.0f, %.0f) (%.0f, %.0f) (%.0f, %.0f) (%.0f, %.0f), score %.2f\n", box.corners[0].x,
                  box.corners[0].y, box.corners[1].x, box.corners[1].y, box.corners[2].x, box.corners[2].y,
                  box.corners[3].x, box.corners[3].y, box.score);
    }
    write_file_atomically(drawn, data::encode_png(pixels));
    std::printf("%zu rectangles, drawn into %s\n", boxes.size(), drawn.c_str());
    return train::Result{.chip = current_device()};
  });
}
