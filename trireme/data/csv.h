// Tables in CSV (RFC 4180: quoted fields may hold separators, line breaks and doubled quotes). The first row names the
// columns. Fields of the data set: "features" f32 [n], the numeric columns in file order, and, when a label column is
// named, "label": i32 [] counting the classes in byte order of their names, or f32 [] for a number to predict.
// A bad cell is an Error kDataLoss that names source, line and column.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "trireme/data/dataset.h"

namespace trireme::data {

struct CsvOptions {
  std::string label;                // name of the label column; empty: no label
  bool label_is_class = true;       // false: the label is a number
  std::vector<std::string> ignore;  // columns that are no features (row numbers, for instance)
  char separator = ',';
};

struct CsvTable {
  DatasetPointer dataset;
  std::vector<std::string> features;  // names of the feature columns
};

// A matrix of numbers, f32 [rows, columns]; a first row with a cell that is no number names the columns and is passed
// over.
Literal read_matrix(const std::string& path, char separator = ',');
Literal parse_matrix(std::string_view text, const std::string& source, char separator = ',');

CsvTable read_csv(const std::string& path, const CsvOptions& options = {});
CsvTable parse_csv(std::string_view text, const std::string& source, const CsvOptions& options = {});

}  // namespace trireme::data
