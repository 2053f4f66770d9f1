// Columns of numbers out of a CSV file that cmsim wrote: no quotes, a header, an empty cell where
// something did not happen (NaN here).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cmsim::report {

/// `names` and their columns, in the same order.
struct CsvColumns {
  std::vector<std::string> names;
  std::vector<std::vector<double>> values;

  const std::vector<double>& of(std::string_view name) const;
  std::size_t rows() const { return values.empty() ? 0 : values.front().size(); }
};

std::vector<std::string> csv_header(std::string_view text);

/// Throws ConfigError naming file and line when a column is missing or a cell is no number.
CsvColumns read_columns(std::string_view text, const std::string& file,
                        std::vector<std::string> names);

}  // namespace cmsim::report
