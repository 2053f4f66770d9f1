#include "csv_columns.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

#include "cmsim/base/error.hpp"

namespace cmsim::report {
namespace {

/// Takes the part up to the delimiter, or all, off the front.
std::string_view take_until(std::string_view& text, char delimiter) {
  const std::size_t end = std::min(text.find(delimiter), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

double number_in(std::string_view cell, const std::string& file, int line,
                 const std::string& column) {
  if (cell.empty()) return std::numeric_limits<double>::quiet_NaN();
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error == std::errc() && end == cell.data() + cell.size()) return value;
  throw ConfigError({file, line, ""},
                    fmt::format("column {}: found \"{}\", expected a number", column, cell));
}

}  // namespace

const std::vector<double>& CsvColumns::of(std::string_view name) const {
  return values[static_cast<std::size_t>(std::ranges::find(names, name) - names.begin())];
}

std::vector<std::string> csv_header(std::string_view text) {
  std::string_view header = take_until(text, '\n');
  std::vector<std::string> names;
  while (!header.empty()) names.emplace_back(take_until(header, ','));
  return names;
}

CsvColumns read_columns(std::string_view text, const std::string& file,
                        std::vector<std::string> names) {
  const std::vector<std::string> header = csv_header(text);
  std::vector<std::optional<std::size_t>> taken(header.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto at = std::ranges::find(header, names[i]);
    if (at == header.end()) {
      throw ConfigError({file, 1, ""},
                        fmt::format("no column {}, found {}", names[i], fmt::join(header, ", ")));
    }
    taken[static_cast<std::size_t>(at - header.begin())] = i;
  }
  CsvColumns columns{std::move(names), {}};
  columns.values.resize(columns.names.size());
  take_until(text, '\n');
  for (int line = 2; !text.empty(); ++line) {
    std::string_view row = take_until(text, '\n');
    const auto cells = static_cast<std::size_t>(std::ranges::count(row, ',')) + 1;
    if (cells != header.size()) {
      throw ConfigError({file, line, ""},
                        fmt::format("found {} cells, expected {}", cells, header.size()));
    }
    for (const auto& column : taken) {
      const std::string_view cell = take_until(row, ',');
      if (!column) continue;
      columns.values[*column].push_back(number_in(cell, file, line, columns.names[*column]));
    }
  }
  return columns;
}

}  // namespace cmsim::report
