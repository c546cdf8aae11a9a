// The pictures of CIFAR-10 (Krizhevsky 2009) that the data folders hold: datasets/cifar10/cifar10_batch_<k>.png, 1,000
// pictures each, with their labels.
#pragma once

#include "trireme/data/dataset.h"
#include "trireme/data/random.h"

namespace trireme::data {

// Fields "image" u8 [3, 32, 32] and "label" i32 []. kNotFound, naming the folders, when there are none.
DatasetPointer load_cifar10();

// Transforms for a loader. The image as f32, normalised by the mean and deviation of each channel over CIFAR-10; before
// that, to train on, a random crop out of 4 zeros on every side and a random flip (He et al. 2016, section 4.2).
Example normalise_cifar10(Example example, RandomStream& random);
Example augment_cifar10(Example example, RandomStream& random);

}  // namespace trireme::data
