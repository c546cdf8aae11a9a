#include "trireme/data/dataset.h"

#include <algorithm>
#include <numeric>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"
#include "trireme/data/random.h"

namespace trireme::data {

namespace {

void check_index(int64_t index, int64_t size) {
  TRIREME_CHECK(index >= 0 && index < size, cat("example ", index, " of ", size));
}

class TensorDataset final : public Dataset {
 public:
  TensorDataset(std::vector<Column> columns, std::vector<std::string> classes) : classes_(std::move(classes)) {
    for (Column& column : columns) {
      const Shape& shape = column.values.shape();
      if (shape.rank() == 0 || shape[0] != columns[0].values.shape()[0]) {
        throw Error(Code::kInvalidArgument,
                    cat("every column needs the same number of rows: '", columns[0].name, "' is ",
                        columns[0].values.shape(), ", '", column.name, "' is ", shape));
      }
      fields_.push_back({column.name, column.values.dtype(), shape.without(0)});
      row_bytes_.push_back(static_cast<size_t>(fields_.back().shape.elements()) * size_of(fields_.back().dtype));
    }
    size_ = columns.empty() ? 0 : columns[0].values.shape()[0];
    for (Column& column : columns) columns_.push_back(std::make_shared<const Literal>(std::move(column.values)));
  }

  int64_t size() const override { return size_; }
  const std::vector<Field>& fields() const override { return fields_; }
  const std::vector<std::string>& classes() const override { return classes_; }
  Example example(int64_t index) const override {
    check_index(index, size_);
    Example out;
    out.reserve(fields_.size());
    for (size_t i = 0; i < fields_.size(); ++i) {
      const auto* data =
          static_cast<const std::byte*>(columns_[i]->data()) + static_cast<size_t>(index) * row_bytes_[i];
      out.emplace_back(fields_[i].dtype, fields_[i].shape, columns_[i], data);
    }
    return out;
  }

 private:
  std::vector<Field> fields_;
  std::vector<size_t> row_bytes_;
  std::vector<std::shared_ptr<const Literal>> columns_;
  std::vector<std::string> classes_;
  int64_t size_ = 0;
};

class Subset final : public Dataset {
 public:
  Subset(DatasetPointer whole, std::vector<int64_t> indices) : whole_(std::move(whole)), indices_(std::move(indices)) {
    for (const int64_t index : indices_) check_index(index, whole_->size());
  }
  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  const std::vector<Field>& fields() const override { return whole_->fields(); }
  const std::vector<std::string>& classes() const override { return whole_->classes(); }
  Example example(int64_t index) const override { return whole_->example(original(index)); }
  std::string describe(int64_t index) const override { return whole_->describe(original(index)); }

 private:
  int64_t original(int64_t index) const {
    check_index(index, size());
    return indices_[static_cast<size_t>(index)];
  }
  DatasetPointer whole_;
  std::vector<int64_t> indices_;
};

void check_held_back(const Dataset& whole, int64_t count) {
  if (count < 0 || count > whole.size()) {
    throw Error(Code::kInvalidArgument,
                cat("cannot hold back ", count, " of ", whole.size(), " examples; give 0 to ", whole.size()));
  }
}

}  // namespace

std::string Dataset::describe(int64_t index) const { return cat("example ", index); }

const std::vector<std::string>& Dataset::classes() const {
  static const std::vector<std::string> none;
  return none;
}

DatasetPointer tensor_dataset(std::vector<Column> columns, std::vector<std::string> classes) {
  return std::make_shared<TensorDataset>(std::move(columns), std::move(classes));
}

DatasetPointer subset(DatasetPointer whole, std::vector<int64_t> indices) {
  return std::make_shared<Subset>(std::move(whole), std::move(indices));
}

Split hold_back_last(const DatasetPointer& whole, int64_t count) {
  check_held_back(*whole, count);
  std::vector<int64_t> all(static_cast<size_t>(whole->size()));
  std::iota(all.begin(), all.end(), 0);
  const auto cut = all.end() - count;
  return {subset(whole, {all.begin(), cut}), subset(whole, {cut, all.end()})};
}

Split hold_back_random(const DatasetPointer& whole, int64_t count, uint64_t seed) {
  check_held_back(*whole, count);
  RandomStream random(seed, Purpose::kSplit);
  std::vector<int64_t> order = permutation(whole->size(), random);
  const auto cut = order.end() - count;
  std::sort(order.begin(), cut);
  std::sort(cut, order.end());
  return {subset(whole, {order.begin(), cut}), subset(whole, {cut, order.end()})};
}

size_t field_index(const Dataset& dataset, std::string_view name) {
  std::vector<std::string> names;
  for (const Field& field : dataset.fields()) {
    if (field.name == name) return names.size();
    names.push_back(field.name);
  }
  const std::string near = nearest_name(name, names);
  throw Error(Code::kNotFound, cat("the data set has no field '", name, "'; it has ", join(names, ", "),
                                   near.empty() ? "" : cat("; did you mean '", near, "'?")));
}

std::vector<int64_t> permutation(int64_t count, RandomStream& random) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (size_t left = order.size(); left > 1; --left) std::swap(order[left - 1], order[random.below(left)]);
  return order;
}

}  // namespace trireme::data
