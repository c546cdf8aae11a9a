#include "trireme/data/cifar10.h"

#include "trireme/base/strings.h"
#include "trireme/data/find.h"
#include "trireme/data/image_sets.h"
#include "trireme/data/transform.h"

namespace trireme::data {

DatasetPointer load_cifar10() {
  std::vector<std::string> pictures = {find_data("datasets/cifar10/cifar10_batch_0.png")};
  while (true) {
    std::string next = look_for_data(cat("datasets/cifar10/cifar10_batch_", pictures.size(), ".png"));
    if (next.empty()) break;
    pictures.push_back(std::move(next));
  }
  PngBatchOptions options;
  options.classes = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
  return png_batches(pictures, find_data("datasets/cifar10/train_labels_0-3999.txt"), options);
}

Example normalise_cifar10(Example example, RandomStream&) {
  constexpr float kMean[] = {0.4914f, 0.4822f, 0.4465f}, kDeviation[] = {0.2470f, 0.2435f, 0.2616f};
  example[0] = normalise(example[0], kMean, kDeviation);
  return example;
}

Example augment_cifar10(Example example, RandomStream& random) {
  example[0] = random_flip(random_crop(example[0], 4, random), random);
  return normalise_cifar10(std::move(example), random);
}

}  // namespace trireme::data
