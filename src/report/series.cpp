#include "series.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "csv_columns.hpp"
#include "rounded.hpp"

namespace cmsim::report {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostIntervals = 1'500;

/// Of the cells that are not empty; NaN of none.
double mean_of(const std::vector<double>& values, std::size_t from, std::size_t to) {
  double sum = 0;
  std::size_t count = 0;
  for (std::size_t i = from; i < to; ++i) {
    if (std::isnan(values[i])) continue;
    sum += values[i];
    ++count;
  }
  return count == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / static_cast<double>(count);
}

}  // namespace

Json series_json(std::string_view csv, const std::string& file) {
  const CsvColumns table = read_columns(csv, file, csv_header(csv));
  const std::size_t rows = table.rows();
  const std::size_t every = std::max<std::size_t>(1, (rows + kMostIntervals - 1) / kMostIntervals);
  Json columns = Json::object();
  for (const std::string& name : table.names) {
    const std::vector<double>& values = table.of(name);
    std::vector<double> means;
    for (std::size_t from = 0; from < rows; from += every) {
      means.push_back(name == "from_s" ? values[from]
                                       : mean_of(values, from, std::min(rows, from + every)));
    }
    columns[name] = rounded(means);
  }
  const double interval = rows > 1 ? table.of("from_s")[1] - table.of("from_s")[0] : 0;
  return {{"intervals", rows},
          {"every", every},
          {"interval_s", rounded(interval)},
          {"columns", std::move(columns)}};
}

}  // namespace cmsim::report
