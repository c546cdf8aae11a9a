// Any bytes as a CSV table and as a matrix of numbers; the first byte picks the options.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "trireme/base/error.h"
#include "trireme/data/csv.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using trireme::Code;
  if (size == 0) return 0;
  trireme::data::CsvOptions options;
  if (data[0] & 1) options.label = "b";
  if (data[0] & 2) options.ignore = {"a"};
  if (data[0] & 4) options.label_is_class = false;
  if (data[0] & 8) options.separator = ';';
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    if (trireme::data::parse_matrix(text, "fuzz", options.separator).elements() < 1) std::abort();
  } catch (const trireme::Error& error) {
    if (error.code() != Code::kDataLoss) std::abort();
  }
  try {
    const auto table = trireme::data::parse_csv(text, "fuzz", options);
    if (table.dataset->size() < 1) std::abort();
    for (int64_t i = 0; i < table.dataset->size(); ++i) {
      for (const double value : table.dataset->example(i)[0].to_doubles()) {
        if (!std::isfinite(value)) std::abort();
      }
    }
  } catch (const trireme::Error& error) {
    if (error.code() != Code::kDataLoss && error.code() != Code::kNotFound) std::abort();
  }
  return 0;
}
