// A CSV file with a header line: columns are found by name, so their order does not matter. Fields
// may be quoted whole; a quoted field holds no line end. Errors name file, line and column.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "input_stream.hpp"

namespace cmsim::work {

constexpr std::size_t kMostColumns = 1000;

/// The fields of a line, unquoted and without surrounding blanks; of too many the first
/// kMostColumns + 1.
void split_csv(std::string_view line, std::vector<std::string_view>& fields);

class CsvReader {
 public:
  /// Reads the header line; more than kMostColumns are an error.
  explicit CsvReader(InputStream& input);

  /// Index of a column; ConfigError with the columns there are when it is missing.
  std::size_t column(std::string_view name) const;
  std::optional<std::size_t> find_column(std::string_view name) const;

  /// Goes to the next line that is not empty; false at the end of the file.
  bool next();
  std::string_view text(std::size_t column) const { return fields_[column]; }
  double number(std::size_t column) const;
  /// A whole number, also when written "374.0".
  std::int64_t integer(std::size_t column) const;
  [[noreturn]] void fail(std::size_t column, std::string_view expected) const;

 private:
  InputStream& input_;
  std::vector<std::string> header_;
  std::vector<std::string_view> fields_;
};

/// The whole of `text` as a finite number, or nothing.
std::optional<double> parse_number(std::string_view text);

}  // namespace cmsim::work
