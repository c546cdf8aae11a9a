#include "trireme/data/csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"

namespace trireme::data {

namespace {

struct Row {
  int64_t line = 0;  // where it starts, counted from 1
  std::vector<std::string> cells;
};

class CsvReader {
 public:
  CsvReader(std::string_view text, const std::string& source, char separator)
      : text_(text), source_(source), separator_(separator) {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;  // byte order mark of some spreadsheet programs
  }

  // False at the end of the text. Blank lines are passed over.
  bool next(Row* row) {
    while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r')) line_ += text_[at_++] == '\n';
    if (at_ >= text_.size()) return false;
    row->line = line_;
    row->cells.clear();
    while (true) {
      row->cells.push_back(cell());
      if (at_ < text_.size() && text_[at_] == separator_) {
        ++at_;
        continue;
      }
      if (at_ < text_.size() && text_[at_] == '\r') ++at_;
      if (at_ < text_.size() && text_[at_] == '\n') ++at_, ++line_;
      return true;
    }
  }

  [[noreturn]] void refuse(int64_t line, std::string_view what) const {
    throw Error(Code::kDataLoss, cat("CSV '", source_, "', line ", line, ": ", what));
  }

 private:
  // One cell; afterwards at_ stands on the separator, the line's end or the text's end.
  std::string cell() {
    if (at_ < text_.size() && text_[at_] == '"') return quoted();
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != separator_ && text_[at_] != '\n' && text_[at_] != '\r') ++at_;
    return std::string(trim(text_.substr(begin, at_ - begin)));
  }

  std::string quoted() {
    const int64_t begun = line_;
    std::string out;
    for (++at_;; ++at_) {
      if (at_ >= text_.size()) refuse(begun, "a quoted cell does not end");
      if (text_[at_] == '"') {
        if (at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
          ++at_;
        } else {
          break;
        }
      }
      line_ += text_[at_] == '\n';
      out += text_[at_];
    }
    ++at_;
    if (at_ < text_.size() && text_[at_] != separator_ && text_[at_] != '\n' && text_[at_] != '\r') {
      refuse(line_, "text follows a closing quote; put the whole cell into quotes");
    }
    return out;
  }

  std::string_view text_;
  const std::string& source_;
  char separator_;
  size_t at_ = 0;
  int64_t line_ = 1;
};

size_t column_called(const std::vector<std::string>& header, const std::string& name, const std::string& source) {
  const auto found = std::find(header.begin(), header.end(), name);
  if (found != header.end()) return static_cast<size_t>(found - header.begin());
  const std::string near = nearest_name(name, header);
  throw Error(Code::kNotFound,
              cat("CSV '", source, "' has no column '", name, "'",
                  near.empty() ? "" : cat("; did you mean '", near, "'?"), " It has: ", join(header, ", ")));
}

std::optional<float> finite_number(std::string_view text) {
  std::string_view cell = trim(text);
  if (cell.size() > 1 && cell[0] == '+' && cell[1] != '-') cell.remove_prefix(1);
  double wide = 0;
  const auto [end, reason] = std::from_chars(cell.data(), cell.data() + cell.size(), wide);
  const float value = static_cast<float>(wide);
  if (reason != std::errc() || end != cell.data() + cell.size() || !std::isfinite(value)) return {};
  return value;
}

}  // namespace

Literal parse_matrix(std::string_view text, const std::string& source, char separator) {
  CsvReader reader(text, source, separator);
  std::vector<float> numbers;
  size_t columns = 0;
  int64_t rows = 0;
  for (Row row; reader.next(&row);) {
    if (columns == 0) {
      columns = row.cells.size();
      const auto is_number = [](const std::string& cell) { return finite_number(cell).has_value(); };
      if (!std::all_of(row.cells.begin(), row.cells.end(), is_number)) continue;  // the names of the columns
    }
    if (row.cells.size() != columns) {
      reader.refuse(row.line, cat("it has ", row.cells.size(), " cells; the first row has ", columns));
    }
    for (size_t column = 0; column < columns; ++column) {
      const std::optional<float> value = finite_number(row.cells[column]);
      if (!value)
        reader.refuse(row.line, cat("column ", column + 1, " holds '", row.cells[column].substr(0, 40),
                                    "', which is not a finite number"));
      numbers.push_back(*value);
    }
    ++rows;
  }
  if (rows == 0) throw Error(Code::kDataLoss, cat("CSV '", source, "' has no row of numbers"));
  return Literal::from<float>(numbers, {rows, static_cast<int64_t>(columns)});
}

Literal read_matrix(const std::string& path, char separator) { return parse_matrix(read_file(path), path, separator); }

CsvTable parse_csv(std::string_view text, const std::string& source, const CsvOptions& options) {
  CsvReader reader(text, source, options.separator);
  Row header;
  if (!reader.next(&header)) throw Error(Code::kDataLoss, cat("CSV '", source, "' is empty"));
  const std::vector<std::string>& names = header.cells;
  if (std::set<std::string>(names.begin(), names.end()).size() != names.size()) {
    reader.refuse(header.line, "two columns have the same name");
  }

  enum class Use { kFeature, kLabel, kIgnored };
  std::vector<Use> uses(names.size(), Use::kFeature);
  for (const std::string& name : options.ignore) uses[column_called(names, name, source)] = Use::kIgnored;
  if (!options.label.empty()) uses[column_called(names, options.label, source)] = Use::kLabel;
  CsvTable table;
  for (size_t i = 0; i < names.size(); ++i) {
    if (uses[i] == Use::kFeature) table.features.push_back(names[i]);
  }

  std::vector<float> features, label_numbers;
  std::vector<std::string> label_names;
  int64_t count = 0;
  for (Row row; reader.next(&row); ++count) {
    if (row.cells.size() != names.size()) {
      reader.refuse(row.line, cat("it has ", row.cells.size(), " cells; the header has ", names.size(), " columns"));
    }
    const auto number = [&](size_t column) {
      const std::optional<float> value = finite_number(row.cells[column]);
      if (!value) {
        reader.refuse(row.line,
                      cat("column ", column + 1, " ('", names[column], "') holds '", row.cells[column].substr(0, 40),
                          "', which is not a finite number; correct the cell, or name the column as label or"
                          " among those to ignore"));
      }
      return *value;
    };
    for (size_t column = 0; column < names.size(); ++column) {
      if (uses[column] == Use::kFeature) features.push_back(number(column));
      if (uses[column] != Use::kLabel) continue;
      if (!options.label_is_class) {
        label_numbers.push_back(number(column));
      } else if (row.cells[column].empty()) {
        reader.refuse(row.line, cat("column ", column + 1, " ('", names[column], "') names no class"));
      } else {
        label_names.push_back(row.cells[column]);
      }
    }
  }
  if (count == 0) throw Error(Code::kDataLoss, cat("CSV '", source, "' has a header but no rows"));

  std::vector<Column> columns;
  const Shape shape{count, static_cast<int64_t>(table.features.size())};
  columns.push_back({"features", Literal::from<float>(features, shape)});
  std::vector<std::string> classes;
  if (!label_numbers.empty()) columns.push_back({"label", Literal::from<float>(label_numbers, {count})});
  if (!label_names.empty()) {
    const std::set<std::string> sorted(label_names.begin(), label_names.end());
    classes.assign(sorted.begin(), sorted.end());
    std::vector<int32_t> labels;
    for (const std::string& name : label_names) {
      labels.push_back(static_cast<int32_t>(std::lower_bound(classes.begin(), classes.end(), name) - classes.begin()));
    }
    columns.push_back({"label", Literal::from<int32_t>(labels, {count})});
  }
  table.dataset = tensor_dataset(std::move(columns), std::move(classes));
  return table;
}

CsvTable read_csv(const std::string& path, const CsvOptions& options) {
  return parse_csv(read_file(path), path, options);
}

}  // namespace trireme::data
