// Data sets of labelled pictures. Fields: "image" u8 [channels, height, width] and "label" i32 [].
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trireme/data/dataset.h"

namespace trireme::data {

// Pictures whose rows are images: every row of a PNG of width height*width is one image, row-major, its channels
// together (MNIST 784 x 3000 grey, CIFAR-10 1024 x 1000 RGB). `labels` is a text of one whole number per line; it may
// hold more lines than there are images only when `allow_more_labels` says so.
struct PngBatchOptions {
  int64_t height = 0, width = 0;  // 0: square
  bool allow_more_labels = false;
  std::vector<std::string> classes;
};
DatasetPointer png_batches(const std::vector<std::string>& pictures, const std::string& labels,
                           const PngBatchOptions& options = {});

// An images file [n, height, width] and a labels file [n] in the idx format, plain or gzip.
DatasetPointer idx_images(const std::string& images, const std::string& labels, std::vector<std::string> classes = {});

// root/<class>/*.png|jpg|jpeg: classes are the folders' names in byte order, images are decoded when asked for.
struct ImageFolderOptions {
  int64_t channels = 3;
  // 0: as they are, and then all must have the first one's size. Otherwise resized so that the image covers the frame,
  // and the middle taken.
  int64_t height = 0, width = 0;
};
DatasetPointer image_folder(const std::string& root, const ImageFolderOptions& options = {});

}  // namespace trireme::data
