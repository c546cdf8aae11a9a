// Data sets: numbered examples, each a fixed list of fields ("image", "label").
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/core/literal.h"

namespace trireme::data {

// Element type and shape of one field of one example (without a batch axis).
struct Field {
  std::string name;
  DType dtype;
  Shape shape;
};

// The values of one example, in the order of the fields.
using Example = std::vector<Literal>;

// Random access; every method is const and safe from any number of threads.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  virtual const std::vector<Field>& fields() const = 0;
  // 0 <= index < size().
  virtual Example example(int64_t index) const = 0;
  // For messages: "example 17", with the file it comes from where there is one.
  virtual std::string describe(int64_t index) const;
  // Names of the classes that the field "label" (or "targets") counts, when it counts any.
  virtual const std::vector<std::string>& classes() const;
};

using DatasetPointer = std::shared_ptr<const Dataset>;

// All examples in memory: each column is a literal [size, ...]. Examples share the columns' bytes.
struct Column {
  std::string name;
  Literal values;
};
DatasetPointer tensor_dataset(std::vector<Column> columns, std::vector<std::string> classes = {});

// The chosen examples, in the given order.
DatasetPointer subset(DatasetPointer whole, std::vector<int64_t> indices);

struct Split {
  DatasetPointer train, validation;
};
// Holds back the last `count` examples.
Split hold_back_last(const DatasetPointer& whole, int64_t count);
// Holds back `count` examples chosen by `seed`; both parts keep the original order.
Split hold_back_random(const DatasetPointer& whole, int64_t count, uint64_t seed);

// Position of the field called `name`; kNotFound with the nearest name otherwise.
size_t field_index(const Dataset& dataset, std::string_view name);

}  // namespace trireme::data
