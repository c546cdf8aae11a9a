// Reads licence plates with a network trained elsewhere, and counts how many it gets right. The folder holds the
// pictures, 94 x 24; the table names them with their truth, after a line of column names. The same source for every
// chip:
//   build/examples/lprnet --weights Final_LPRNet_model.pth --pictures FOLDER --labels labels.tsv --device cpu
#include "examples/lprnet.h"
#include "examples/example.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/data/image.h"

using namespace trireme;

int main(int argc, char** argv) {
  Example example("lprnet", "Reads licence plates with a network trained elsewhere");
  std::string weights, pictures, labels;
  size_t batch = 50;
  example.option("--weights", weights, "the checkpoint, .pth or .safetensors");
  example.option("--pictures", pictures, "folder of pictures");
  example.option("--labels", labels, "table of pictures and their text");
  example.option("--batch", batch, "pictures per step");
  return example.run(argc, argv, [&] {
    const examples::LprNet net(weights);
    std::vector<std::vector<std::string>> rows;
    for (const std::string& line : split(read_file(labels), '\n')) rows.push_back(split(line, '\t'));
    while (!rows.empty() && rows.back().size() < 2) rows.pop_back();
    size_t right = 0, seen = 0;
    for (size_t first = 1; first < rows.size(); first += batch) {
      std::vector<Literal> images;
      for (size_t i = first; i < std::min(rows.size(), first + batch); ++i) {
        images.push_back(data::read_image(pictures + "/" + rows[i][0], 3));
      }
      for (const std::string& plate : net.read(images)) right += plate == rows[first + seen++ % batch][1];
    }
    std::printf("%zu of %zu plates right\n", right, seen);
    return train::Result{.accuracy = static_cast<double>(right) / static_cast<double>(std::max<size_t>(seen, 1)),
                         .chip = current_device()};
  });
}
