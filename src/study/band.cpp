#include "cmsim/study/band.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "cmsim/base/random.hpp"
#include "cmsim/metrics/statistics.hpp"
#include "cmsim/study/statistics.hpp"

namespace cmsim::study {
namespace {

/// As a set takes it: a text without its quotes.
std::string end_text(const nlohmann::json& end) {
  return end.is_string() ? end.get<std::string>() : end.dump();
}

/// The ends may have different prefixes; samples have the unit of the first.
UncertainConstant constant_of(const std::string& pointer, const nlohmann::json& annotated) {
  const nlohmann::json& range = annotated["range"];
  UncertainConstant constant{.pointer = pointer,
                             .unit = {},
                             .low_text = end_text(range.at(0)),
                             .high_text = end_text(range.at(1)),
                             .source = annotated.value("source", "")};
  const auto low = split_quantity(constant.low_text);
  const auto low_base = numeric_value(constant.low_text);
  const auto high_base = numeric_value(constant.high_text);
  if (!low || !low_base || !high_base)
    throw ConfigError("the range of " + pointer + " is no range");
  constant.unit = low->unit;
  const double unit = numeric_value("1" + low->unit).value_or(1);
  constant.low = *low_base / unit;
  constant.high = *high_base / unit;
  return constant;
}

/// From 1; equal values have the mean of their ranks.
std::vector<double> ranks(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return values[i]; });
  std::vector<double> ranks(values.size());
  for (std::size_t first = 0, next = 0; first < order.size(); first = next) {
    while (next < order.size() && values[order[next]] == values[order[first]]) ++next;
    const double shared = static_cast<double>(first + 1 + next) / 2;
    for (std::size_t i = first; i < next; ++i) ranks[order[i]] = shared;
  }
  return ranks;
}

/// What the samples have of a metric, and which samples those are.
struct Found {
  std::vector<double> values;
  std::vector<std::size_t> samples;
};

Found found_in(const Table& table, std::size_t metric) {
  Found found;
  for (std::size_t i = 0; i < table.points.size(); ++i) {
    if (!table.outcomes[i].done()) continue;
    const double* value = std::get_if<double>(&table.values[i][metric]);
    if (value == nullptr) continue;
    found.values.push_back(*value);
    found.samples.push_back(i);
  }
  return found;
}

/// Of one of so many constants none of which has an effect to be correlated as much: Student's with
/// n - 2 degrees of freedom for ranks, times the constants (Bonferroni).
double chance_of(double correlation, std::size_t samples, std::size_t constants) {
  if (samples < 3) return 1;
  const double left = 1 - correlation * correlation;
  if (left <= 0) return 0;
  const double freedom = static_cast<double>(samples) - 2;
  const double t = std::fabs(correlation) * std::sqrt(freedom / left);
  const boost::math::students_t distribution(freedom);
  return 2 * boost::math::cdf(boost::math::complement(distribution, t)) *
         static_cast<double>(constants);
}

void find_dominant(metrics::Band& band, const Table& table, const Found& found) {
  const std::vector<Axis> axes = table.study.axes();
  for (const Axis& axis : axes) {
    std::vector<double> values;
    for (const std::size_t sample : found.samples) {
      values.push_back(numeric_value(axis.values[table.points[sample].cell]).value_or(0));
    }
    const double correlation = rank_correlation(values, found.values).value_or(0);
    if (std::fabs(correlation) <= std::fabs(band.correlation)) continue;
    band.correlation = correlation;
    band.dominant = axis.pointer;
  }
  if (chance_of(band.correlation, found.samples.size(), axes.size()) < 1 - kConfidence) return;
  band.correlation = 0;
  band.dominant.clear();
}

}  // namespace

double UncertainConstant::at(double share) const {
  if (!by_ratio()) return low + share * (high - low);
  return low * std::pow(high / low, share);
}

std::string UncertainConstant::text(double value) const { return fmt::format("{}{}", value, unit); }

std::vector<UncertainConstant> uncertain_constants(const ConfigDocument& document) {
  std::vector<UncertainConstant> constants;
  for (const std::string& pointer : document.parameters("")) {
    const nlohmann::json& value = document.value().at(nlohmann::json::json_pointer(pointer));
    if (!value.is_object() || !value.contains("range")) continue;
    UncertainConstant constant = constant_of(pointer, value);
    if (constant.low < constant.high) constants.push_back(std::move(constant));
  }
  return constants;
}

std::vector<std::vector<double>> latin_hypercube(const std::vector<std::string>& names,
                                                 std::size_t samples, std::uint64_t seed) {
  std::vector<std::vector<double>> shares;
  for (const std::string& name : names) {
    RandomStream random(seed, "study/band" + name);
    std::vector<double> of(samples);
    for (std::size_t i = 0; i < samples; ++i) {
      of[i] = (static_cast<double>(i) + random.uniform()) / static_cast<double>(samples);
    }
    for (std::size_t i = samples; i > 1; --i) {
      const auto other = random.uniform_int(0, static_cast<std::int64_t>(i) - 1);
      std::swap(of[i - 1], of[static_cast<std::size_t>(other)]);
    }
    shares.push_back(std::move(of));
  }
  return shares;
}

std::optional<double> rank_correlation(std::span<const double> x, std::span<const double> y) {
  const std::vector<double> u = ranks(x), v = ranks(y);
  const double middle = (static_cast<double>(u.size()) + 1) / 2;
  double uu = 0, vv = 0, uv = 0;
  for (std::size_t i = 0; i < u.size(); ++i) {
    uu += (u[i] - middle) * (u[i] - middle);
    vv += (v[i] - middle) * (v[i] - middle);
    uv += (u[i] - middle) * (v[i] - middle);
  }
  if (uu <= 0 || vv <= 0) return std::nullopt;
  return uv / std::sqrt(uu * vv);
}

Study band_study(Study scenario, const std::vector<UncertainConstant>& constants,
                 std::size_t samples, std::uint64_t seed) {
  std::vector<std::string> names;
  for (const UncertainConstant& constant : constants) names.push_back(constant.pointer);
  const auto shares = latin_hypercube(names, samples, seed);
  std::vector<Axis> dimension;
  for (std::size_t i = 0; i < constants.size(); ++i) {
    Axis axis{constants[i].pointer, {}};
    for (const double share : shares[i]) {
      axis.values.push_back(constants[i].text(constants[i].at(share)));
    }
    dimension.push_back(std::move(axis));
  }
  scenario.dimensions = {std::move(dimension)};
  scenario.metrics = band_metrics();
  return scenario;
}

std::vector<Metric> band_metrics() {
  constexpr std::string_view kNames[] = {"goodput",
                                         "output_throughput",
                                         "ttft",
                                         "tpot",
                                         "prefill_tokens_per_s_per_npu",
                                         "tokens_per_s_per_npu"};
  std::vector<Metric> metrics = headlines("run");
  std::erase_if(metrics, [&](const Metric& metric) {
    return std::ranges::find(kNames, metric.name) == std::end(kNames);
  });
  return metrics;
}

metrics::Uncertainty uncertainty(const Table& table,
                                 const std::vector<UncertainConstant>& constants,
                                 const nlohmann::json& nominal) {
  metrics::Uncertainty result;
  result.samples = count_points(table).done;
  for (const UncertainConstant& constant : constants) {
    result.constants.push_back(
        {constant.pointer, constant.low_text, constant.high_text, constant.source});
  }
  for (std::size_t m = 0; m < table.study.metrics.size(); ++m) {
    const Metric& metric = table.study.metrics[m];
    const Value value = value_of(nominal, metric);
    const Found found = found_in(table, m);
    if (!std::holds_alternative<double>(value) || found.values.empty()) continue;
    metrics::Band band{
        .metric = metric.name, .unit = metric.unit, .nominal = std::get<double>(value)};
    std::vector<double> sorted = found.values;
    std::ranges::sort(sorted);
    band.low = metrics::percentile(sorted, kBandLow);
    band.high = metrics::percentile(sorted, kBandHigh);
    find_dominant(band, table, found);
    result.bands.push_back(std::move(band));
  }
  return result;
}

}  // namespace cmsim::study
