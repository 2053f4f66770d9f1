#include "csv.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "cmsim/base/error.hpp"

namespace cmsim::work {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

void split_csv(std::string_view line, std::vector<std::string_view>& fields) {
  fields.clear();
  for (std::size_t start = 0;;) {
    std::size_t end = line.find(',', start);
    if (start < line.size() && line[start] == '"') {
      const std::size_t quote = line.find('"', start + 1);
      if (quote != std::string_view::npos) end = line.find(',', quote);
    }
    std::string_view field = trimmed(line.substr(start, end - start));
    if (field.size() >= 2 && field.front() == '"' && field.back() == '"') {
      field = field.substr(1, field.size() - 2);
    }
    fields.push_back(field);
    if (end == std::string_view::npos || fields.size() > kMostColumns) return;
    start = end + 1;
  }
}

CsvReader::CsvReader(InputStream& input) : input_(input) {
  const auto line = input_.read_line();
  if (!line) input_.fail("is empty, expected a CSV header");
  split_csv(*line, fields_);
  if (fields_.size() > kMostColumns) {
    input_.fail(fmt::format("more than {} columns", kMostColumns));
  }
  header_.assign(fields_.begin(), fields_.end());
}

std::optional<std::size_t> CsvReader::find_column(std::string_view name) const {
  const auto found = std::find(header_.begin(), header_.end(), name);
  if (found == header_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - header_.begin());
}

std::size_t CsvReader::column(std::string_view name) const {
  if (const auto found = find_column(name)) return *found;
  input_.fail(fmt::format("no column \"{}\", the header has {}", name, fmt::join(header_, ", ")));
}

bool CsvReader::next() {
  for (;;) {
    const auto line = input_.read_line();
    if (!line) return false;
    if (line->find_first_not_of(" \t") == std::string_view::npos) continue;
    split_csv(*line, fields_);
    if (fields_.size() != header_.size()) {
      input_.fail(fmt::format("found {} columns, the header has {}{}", fields_.size(),
                              header_.size(),
                              fields_.size() < header_.size() ? " (line cut short?)" : ""));
    }
    return true;
  }
}

void CsvReader::fail(std::size_t column, std::string_view expected) const {
  input_.fail(fmt::format("{}: found \"{}\", expected {}", header_[column],
                          fields_[column].substr(0, 60), expected));
}

double CsvReader::number(std::size_t column) const {
  const auto value = parse_number(fields_[column]);
  if (!value) fail(column, "a number");
  return *value;
}

std::int64_t CsvReader::integer(std::size_t column) const {
  std::string_view text = fields_[column];
  if (const std::size_t point = text.find('.'); point != std::string_view::npos && point > 0) {
    if (text.find_first_not_of('0', point + 1) != std::string_view::npos) {
      fail(column, "a whole number");
    }
    text = text.substr(0, point);
  }
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) fail(column, "a number of at most 2147483647");
  if (error != std::errc() || end != text.data() + text.size()) fail(column, "a whole number");
  return value;
}

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

}  // namespace cmsim::work
